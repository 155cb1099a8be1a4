// SPDX-License-Identifier: Apache-2.0

import JSON

/// The FlowSchemas and PriorityLevelConfigurations that every Kubernetes cluster has
/// (https://kubernetes.io/docs/concepts/cluster-administration/flow-control/#defaults).
package enum BootstrapFlowControl {
    private static let group = "flowcontrol.apiserver.k8s.io"
    private static let annotations: JSON = ["apf.kubernetes.io/autoupdate-spec": "true"]

    // MARK: Priority levels

    package static var priorityLevels: [KubeObject] {
        [
            level("exempt", ["type": "Exempt", "exempt": ["nominalConcurrencyShares": 0, "lendablePercent": 0]]),
            limited("catch-all", shares: 5, lendable: 0, ["type": "Reject"]),
            limited("system", shares: 30, lendable: 33, queues(64, hand: 6)),
            limited("node-high", shares: 40, lendable: 25, queues(64, hand: 6)),
            limited("leader-election", shares: 10, lendable: 0, queues(16, hand: 4)),
            limited("workload-high", shares: 40, lendable: 50, queues(128, hand: 6)),
            limited("workload-low", shares: 100, lendable: 90, queues(128, hand: 6)),
            limited("global-default", shares: 20, lendable: 50, queues(128, hand: 6)),
        ]
    }

    private static func level(_ name: String, _ spec: JSON) -> KubeObject {
        object("PriorityLevelConfiguration", name, spec)
    }

    private static func limited(_ name: String, shares: Int, lendable: Int, _ response: JSON) -> KubeObject {
        level(
            name,
            [
                "type": "Limited",
                "limited": [
                    "nominalConcurrencyShares": JSON(shares), "lendablePercent": JSON(lendable),
                    "limitResponse": response,
                ],
            ])
    }

    private static func queues(_ count: Int, hand: Int) -> JSON {
        [
            "type": "Queue",
            "queuing": ["queues": JSON(count), "handSize": JSON(hand), "queueLengthLimit": 50],
        ]
    }

    private static func object(_ kind: String, _ name: String, _ spec: JSON) -> KubeObject {
        var object = KubeObject(GroupVersionKind(group, "v1", kind), name: name)
        object.json["metadata", "annotations"] = annotations
        object.spec = spec
        return object
    }

    // MARK: Flow schemas

    package static var flowSchemas: [KubeObject] {
        let others: [KubeObject] = [
            schema(
                "kube-controller-manager", "workload-high", 800, by: "ByNamespace",
                users("system:kube-controller-manager")),
            schema("kube-scheduler", "workload-high", 800, by: "ByNamespace", users("system:kube-scheduler")),
            schema("kube-system-service-accounts", "workload-high", 900, by: "ByNamespace", accounts("*")),
            schema("service-accounts", "workload-low", 9000, by: "ByUser", groups("system:serviceaccounts")),
            schema("global-default", "global-default", 9900, by: "ByUser", everybody),
            schema("catch-all", "catch-all", 10000, by: "ByUser", everybody),
        ]
        return systemSchemas + others
    }

    /// The schemas of what keeps the cluster going.
    private static var systemSchemas: [KubeObject] {
        let administrators = groups("system:masters")
        let nodes = groups("system:nodes")
        let electors = users("system:kube-controller-manager", "system:kube-scheduler") + accounts("*")
        let mirrors =
            users("system:kube-controller-manager")
            + accounts("endpoint-controller", "endpointslicemirroring-controller")
        let locks = "endpoints configmaps"
        let health: JSON = ["verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]]
        let systemLocks = [elections(locks, "", in: "kube-system"), leases]
        let workloadLocks = [elections(locks, "", in: "*"), leases]
        let nodeHealth = [
            rule("*", "", "nodes nodes/status", in: "*", isCluster: true),
            rule("*", "coordination.k8s.io", "leases", in: "*", isCluster: false),
        ]
        return [
            schema("exempt", "exempt", 1, by: nil, administrators, resources: [everything], paths: anyPath),
            schema("probes", "exempt", 2, by: nil, everybody, resources: [], paths: health),
            schema("system-leader-election", "leader-election", 100, by: "ByUser", electors, resources: systemLocks),
            schema(
                "endpoint-controller", "workload-high", 150, by: "ByUser", mirrors,
                resources: [elections("endpoints", "", in: "*")]),
            schema(
                "workload-leader-election", "leader-election", 200, by: "ByUser", accounts("*"),
                resources: workloadLocks),
            schema("system-node-high", "node-high", 400, by: "ByUser", nodes, resources: nodeHealth),
            schema("system-nodes", "system", 500, by: "ByUser", nodes),
        ]
    }

    /// A schema for some requests of its subjects.
    private static func schema(
        _ name: String, _ level: String, _ precedence: Int, by distinguisher: String?, _ subjects: [JSON],
        resources: [JSON], paths: JSON? = nil
    ) -> KubeObject {
        var rule: JSON = ["subjects": .array(subjects)]
        if !resources.isEmpty { rule["resourceRules"] = .array(resources) }
        if let paths { rule["nonResourceRules"] = [paths] }
        var spec: JSON = [
            "priorityLevelConfiguration": ["name": .string(level)], "matchingPrecedence": JSON(precedence),
        ]
        if let distinguisher { spec["distinguisherMethod"] = ["type": .string(distinguisher)] }
        spec["rules"] = [rule]
        return object("FlowSchema", name, spec)
    }

    /// A schema for all requests of its subjects.
    private static func schema(
        _ name: String, _ level: String, _ precedence: Int, by distinguisher: String, _ subjects: [JSON]
    ) -> KubeObject {
        schema(
            name, level, precedence, by: distinguisher, subjects, resources: [everything], paths: anyPath)
    }

    // MARK: Rules

    private static let everything = rule("*", "*", "*", in: "*", isCluster: true)
    private static let anyPath: JSON = ["verbs": ["*"], "nonResourceURLs": ["*"]]
    private static let leases = elections("leases", "coordination.k8s.io", in: "*")

    private static func elections(_ resources: String, _ group: String, in namespace: String) -> JSON {
        rule("get create update", group, resources, in: namespace, isCluster: false)
    }

    private static func rule(
        _ verbs: String, _ group: String, _ resources: String, in namespace: String, isCluster: Bool
    ) -> JSON {
        var rule: JSON = [
            "verbs": JSON(verbs.split(separator: " ").map(String.init)), "apiGroups": [.string(group)],
            "resources": JSON(resources.split(separator: " ").map(String.init)),
        ]
        if isCluster { rule["clusterScope"] = true }
        rule["namespaces"] = [.string(namespace)]
        return rule
    }

    private static func groups(_ names: String...) -> [JSON] {
        names.map { ["kind": "Group", "group": ["name": .string($0)]] }
    }

    private static func users(_ names: String...) -> [JSON] {
        names.map { ["kind": "User", "user": ["name": .string($0)]] }
    }

    private static let everybody = groups("system:unauthenticated", "system:authenticated")

    /// Service accounts in kube-system.
    private static func accounts(_ names: String...) -> [JSON] {
        names.map {
            ["kind": "ServiceAccount", "serviceAccount": ["namespace": "kube-system", "name": .string($0)]]
        }
    }
}
