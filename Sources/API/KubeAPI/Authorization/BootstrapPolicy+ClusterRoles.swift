// SPDX-License-Identifier: Apache-2.0

/// The cluster roles for people and for the parts of Kubernetes.
extension BootstrapPolicy {
    static let userRoles: [Role] = [
        Role("cluster-admin", rules: [rule("*", "*", "*"), rule("*", paths: "*")]),
        Role(
            "system:discovery",
            rules: [
                rule(
                    "get",
                    paths: "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")
            ]),
        Role(
            "system:monitoring",
            rules: [
                rule(
                    "get",
                    paths: "/healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/*")
            ]),
        Role(
            "system:basic-user",
            rules: [
                rule("create", "authorization.k8s.io", "selfsubjectaccessreviews selfsubjectrulesreviews"),
                rule("create", "authentication.k8s.io", "selfsubjectreviews"),
            ]),
        Role("system:public-info-viewer", rules: [rule("get", paths: "/healthz /livez /readyz /version /version/")]),
        Role(
            "system:aggregate-to-admin", aggregation: "aggregate-to-admin",
            rules: [
                rule("create", "authorization.k8s.io", "localsubjectaccessreviews"),
                rule(readWrite, "rbac.authorization.k8s.io", "rolebindings roles"),
            ]),
        Role("system:aggregate-to-edit", aggregation: "aggregate-to-edit", rules: editRules),
        Role("system:aggregate-to-view", aggregation: "aggregate-to-view", rules: viewRules),
    ]

    private static let editRules = [
        rule(read, "core", "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"),
        rule("impersonate", "core", "serviceaccounts"),
        rule(write, "core", "pods pods/attach pods/exec pods/portforward pods/proxy"),
        rule("create", "core", "pods/eviction"),
        rule(
            write, "core",
            """
            configmaps events persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets \
            serviceaccounts services services/proxy
            """),
        rule("create", "core", "serviceaccounts/token"),
        rule(
            write, "apps",
            """
            daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale \
            statefulsets statefulsets/scale
            """),
        rule(write, "autoscaling", "horizontalpodautoscalers"),
        rule(write, "batch", "cronjobs jobs"),
        rule(
            write, "extensions",
            """
            daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets \
            replicasets/scale replicationcontrollers/scale
            """),
        rule(write, "policy", "poddisruptionbudgets"),
        rule(write, "networking.k8s.io", "ingresses networkpolicies"),
        rule(readWrite, "coordination.k8s.io", "leases"),
        rule(write, "resource.k8s.io", "resourceclaims resourceclaimtemplates"),
    ]

    private static let viewRules = [
        rule(
            read, "core",
            """
            configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers \
            replicationcontrollers/scale serviceaccounts services services/status
            """),
        rule(
            read, "core",
            """
            bindings events limitranges namespaces/status pods/log pods/status replicationcontrollers/status \
            resourcequotas resourcequotas/status
            """),
        rule(read, "core", "namespaces"),
        rule(read, "discovery.k8s.io", "endpointslices"),
        rule(
            read, "apps",
            """
            controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status \
            replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status
            """),
        rule(read, "autoscaling", "horizontalpodautoscalers horizontalpodautoscalers/status"),
        rule(read, "batch", "cronjobs cronjobs/status jobs jobs/status"),
        rule(
            read, "extensions",
            """
            daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses \
            ingresses/status networkpolicies replicasets replicasets/scale replicasets/status \
            replicationcontrollers/scale
            """),
        rule(read, "policy", "poddisruptionbudgets poddisruptionbudgets/status"),
        rule(read, "networking.k8s.io", "ingresses ingresses/status networkpolicies"),
        rule(read, "resource.k8s.io", "resourceclaims resourceclaims/status resourceclaimtemplates"),
    ]

    private static let delegation = [
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "subjectaccessreviews"),
    ]

    static let systemRoles: [Role] = [
        Role("system:node", rules: nodeRules),
        Role(
            "system:node-problem-detector",
            rules: [rule("get", "core", "nodes"), rule("patch", "core", "nodes/status"), events]),
        Role(
            "system:node-proxier",
            rules: [
                rule("list watch", "core", "endpoints services"), rule(read, "core", "nodes"), events,
                rule("list watch", "discovery.k8s.io", "endpointslices"),
                rule("list watch", "networking.k8s.io", "servicecidrs"),
            ]),
        Role(
            "system:kubelet-api-admin",
            rules: [
                rule(read, "core", "nodes"), rule("proxy", "core", "nodes"),
                rule(
                    "*", "core",
                    "nodes/configz nodes/healthz nodes/log nodes/metrics nodes/pods nodes/proxy nodes/stats"),
            ]),
        Role(
            "system:node-bootstrapper",
            rules: [rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests")]),
        Role("system:auth-delegator", rules: delegation),
        Role("system:kube-aggregator", rules: [rule(read, "core", "endpoints services")]),
        Role("system:kube-controller-manager", rules: controllerManagerRules),
        Role(
            "system:kube-dns",
            rules: [
                rule("list watch", "core", "endpoints services"),
                rule("list watch", "discovery.k8s.io", "endpointslices"),
            ]),
        Role(
            "system:persistent-volume-provisioner",
            rules: [
                rule("create delete get list watch", "core", "persistentvolumes"),
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule(read, "storage.k8s.io", "storageclasses"), rule("watch", "core", "events"), events,
            ]),
        Role("system:kube-scheduler", rules: schedulerRules),
        Role(
            "system:volume-scheduler",
            rules: [
                rule("get list patch update watch", "core", "persistentvolumes"),
                rule(read, "storage.k8s.io", "storageclasses"),
                rule("get list patch update watch", "core", "persistentvolumeclaims"),
            ]),
        approver("legacy-unknown"), approver("kubelet-serving"), approver("kube-apiserver-client"),
        approver("kube-apiserver-client-kubelet"),
        Role(
            "system:certificates.k8s.io:certificatesigningrequests:nodeclient",
            rules: [rule("create", "certificates.k8s.io", "certificatesigningrequests/nodeclient")]),
        Role(
            "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient",
            rules: [rule("create", "certificates.k8s.io", "certificatesigningrequests/selfnodeclient")]),
        Role(
            "system:service-account-issuer-discovery",
            rules: [rule("get", paths: "/.well-known/openid-configuration /openid/v1/jwks")]),
    ]

    private static func approver(_ signer: String) -> Role {
        Role(
            "system:certificates.k8s.io:\(signer)-approver",
            rules: [rule("approve", "certificates.k8s.io", "signers", names: "kubernetes.io/\(signer)")])
    }

    /// What the node authorizer lets every node do; it narrows much of it to the node's own objects.
    package static let nodeRules = [
        rule("create", "authentication.k8s.io", "tokenreviews"),
        rule("create", "authorization.k8s.io", "localsubjectaccessreviews subjectaccessreviews"),
        rule(read, "core", "services"), rule("create get list watch", "core", "nodes"),
        rule("patch update", "core", "nodes/status"), rule("patch update", "core", "nodes"),
        rule("create patch update", "core", "events"), rule(read, "core", "pods"),
        rule("create delete", "core", "pods"), rule("patch update", "core", "pods/status"),
        rule("create", "core", "pods/eviction"), rule(read, "core", "configmaps secrets"),
        rule("get", "core", "persistentvolumeclaims persistentvolumes"), rule("get", "core", "endpoints"),
        rule("create get list watch", "certificates.k8s.io", "certificatesigningrequests"),
        rule("create delete get patch update", "coordination.k8s.io", "leases"),
        rule("get", "storage.k8s.io", "volumeattachments"), rule("create", "core", "serviceaccounts/token"),
        rule("get patch update", "core", "persistentvolumeclaims/status"),
        rule(read, "storage.k8s.io", "csidrivers"),
        rule("create delete get patch update", "storage.k8s.io", "csinodes"),
        rule(read, "node.k8s.io", "runtimeclasses"), rule("get", "resource.k8s.io", "resourceclaims"),
        rule("create delete deletecollection get list patch update watch", "resource.k8s.io", "resourceslices"),
    ]

    private static func leaderLease(_ name: String) -> [PolicyRule] {
        [
            rule("create", "coordination.k8s.io", "leases"),
            rule("get update", "coordination.k8s.io", "leases", names: name),
        ]
    }

    private static let controllerManagerRules =
        [events] + leaderLease("kube-controller-manager")
        + [
            rule("create", "core", "secrets serviceaccounts"), rule("delete", "core", "secrets"),
            rule("get", "core", "configmaps namespaces secrets serviceaccounts"),
            rule("update", "core", "secrets serviceaccounts"),
        ] + delegation + [rule("list watch", "*", "*"), rule("create", "core", "serviceaccounts/token")]

    private static let schedulerRules =
        [events] + leaderLease("kube-scheduler")
        + [
            rule(read, "core", "nodes"), rule("delete get list watch", "core", "pods"),
            rule("create", "core", "bindings pods/binding"), rule("patch update", "core", "pods/status"),
            rule(read, "core", "replicationcontrollers services"), rule(read, "apps extensions", "replicasets"),
            rule(read, "apps", "statefulsets"), rule(read, "policy", "poddisruptionbudgets"),
            rule(read, "core", "persistentvolumeclaims persistentvolumes"),
        ] + delegation
        + [
            rule(read, "storage.k8s.io", "csinodes"), rule(read, "core", "namespaces"),
            rule(read, "storage.k8s.io", "csidrivers"), rule(read, "storage.k8s.io", "csistoragecapacities"),
            rule(read, "storage.k8s.io", "volumeattachments"), rule(read, "resource.k8s.io", "deviceclasses"),
            rule("get list patch update watch", "resource.k8s.io", "resourceclaims"),
            rule("get list patch update watch", "resource.k8s.io", "resourceclaims/status"),
            rule(read, "resource.k8s.io", "resourceslices"), rule("update", "core", "pods/finalizers"),
        ]

    /// The roles of single namespaces, with their namespace.
    static let namespaceRoles: [(namespace: String, role: Role)] = [
        (
            "kube-public",
            Role("swiftlet:root-certificates", rules: [rule(read, "core", "configmaps", names: "kube-root-ca.crt")])
        ),
        (
            "kube-system",
            Role(
                "extension-apiserver-authentication-reader",
                rules: [rule(read, "core", "configmaps", names: "extension-apiserver-authentication")])
        ),
        ("kube-system", Role("system:controller:bootstrap-signer", rules: [rule(read, "core", "secrets")])),
        (
            "kube-system",
            Role("system:controller:cloud-provider", rules: [rule("create get list watch", "core", "configmaps")])
        ),
        (
            "kube-system",
            Role(
                "system:controller:token-cleaner",
                rules: [rule("delete get list watch", "core", "secrets"), events])
        ),
        ("kube-system", leaderLocking("kube-controller-manager")), ("kube-system", leaderLocking("kube-scheduler")),
        (
            "kube-public",
            Role(
                "system:controller:bootstrap-signer",
                rules: [
                    rule(read, "core", "configmaps"), rule("update", "core", "configmaps", names: "cluster-info"),
                    events,
                ])
        ),
    ]

    private static func leaderLocking(_ component: String) -> Role {
        Role(
            "system::leader-locking-\(component)",
            rules: [rule("watch", "core", "configmaps"), rule("get update", "core", "configmaps", names: component)])
    }
}
