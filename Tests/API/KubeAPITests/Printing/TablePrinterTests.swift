// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// The facts are those of upstream's printers (pkg/printers/internalversion).
struct HumanDurationTests {
    @Test(arguments: [
        (-5, "<invalid>"), (-2, "<invalid>"), (-1.5, "0s"), (-1, "0s"), (0, "0s"), (0.9, "0s"), (1, "1s"),
        (119, "119s"), (120, "2m"), (150, "2m30s"), (599, "9m59s"), (600, "10m"), (10_799, "179m"), (10_800, "3h"),
        (11_100, "3h5m"), (28_799, "7h59m"), (28_800, "8h"), (172_799, "47h"), (172_800, "2d"), (176_400, "2d1h"),
        (691_200, "8d"), (63_071_999, "729d"), (63_072_000, "2y"), (65_664_000, "2y30d"), (252_288_000, "8y"),
        (300_000_000, "9y"), (1e300, "31709791y"),
    ])
    func durationsAreShortened(_ seconds: Double, _ expected: String) {
        #expect(HumanDuration.text(seconds: seconds) == expected)
    }
}

struct PodTableTests {
    private static let now = KubeTime("2026-01-02T00:10:00Z") ?? KubeTime(seconds: 0)
    private static let created: JSON = "2026-01-02T00:00:00Z"

    private func cells(_ pod: JSON) -> [String] {
        var pod = pod
        pod["metadata", "name"] = "p"
        pod["metadata", "creationTimestamp"] = Self.created
        let row = TablePrinter.of(.init("", "v1", "Pod")).row(pod, now: Self.now)
        return (row["cells"]?.elements ?? []).compactMap(\.string)
    }

    private static func status(
        _ name: String, _ state: JSON, ready: Bool = false, restarts: Int = 0, last: String? = nil
    ) -> JSON {
        var result: JSON = [
            "name": .string(name), "state": state, "ready": .bool(ready), "restartCount": JSON(restarts),
        ]
        if let last { result["lastState"] = ["terminated": ["finishedAt": .string(last)]] }
        return result
    }
    private static let running: JSON = ["running": ["startedAt": "2026-01-02T00:00:01Z"]]
    private static func waiting(_ reason: String) -> JSON { ["waiting": ["reason": .string(reason)]] }
    private static func terminated(_ code: Int, _ reason: String = "", signal: Int = 0) -> JSON {
        ["terminated": ["exitCode": JSON(code), "reason": .string(reason), "signal": JSON(signal)]]
    }

    private static func pod(
        _ phase: String, _ statuses: [JSON], containers: Int = 1, initial: [JSON] = [], initStatuses: [JSON] = [],
        conditions: [JSON] = []
    ) -> JSON {
        [
            "metadata": [:],
            "spec": [
                "containers": .array((0..<containers).map { ["name": .string("c\($0)")] }),
                "initContainers": .array(initial),
            ],
            "status": [
                "phase": .string(phase), "containerStatuses": .array(statuses),
                "initContainerStatuses": .array(initStatuses), "conditions": .array(conditions),
            ],
        ]
    }

    @Test(arguments: [
        (pod("Pending", []), ["0/1", "Pending", "0"]),
        (pod("Running", [status("c0", running, ready: true)]), ["1/1", "Running", "0"]),
        (pod("Running", [status("c0", running)]), ["0/1", "Running", "0"]),
        (pod("Pending", [status("c0", waiting("ContainerCreating"))]), ["0/1", "ContainerCreating", "0"]),
        (
            pod("Running", [status("c0", waiting("CrashLoopBackOff"), restarts: 2, last: "2026-01-02T00:07:00Z")]),
            ["0/1", "CrashLoopBackOff", "2 (3m ago)"]
        ),
        (pod("Succeeded", [status("c0", terminated(0, "Completed"))]), ["0/1", "Completed", "0"]),
        (pod("Failed", [status("c0", terminated(1, "Error"))]), ["0/1", "Error", "0"]),
        (pod("Failed", [status("c0", terminated(3))]), ["0/1", "ExitCode:3", "0"]),
        (pod("Failed", [status("c0", terminated(137, signal: 9))]), ["0/1", "Signal:9", "0"]),
        (
            pod(
                "Running", [status("c0", terminated(0, "Completed")), status("c1", running, ready: true)],
                containers: 2,
                conditions: [["type": "Ready", "status": "True"]]), ["1/2", "Running", "0"]
        ),
        (
            pod(
                "Running", [status("c0", terminated(0, "Completed")), status("c1", running, ready: true)], containers: 2
            ),
            ["1/2", "NotReady", "0"]
        ),
        (
            pod(
                "Pending", [status("c0", waiting("PodInitializing"))], initial: [["name": "i"], ["name": "j"]],
                initStatuses: [status("i", terminated(0)), status("j", running)]), ["0/1", "Init:1/2", "0"]
        ),
        (
            pod(
                "Pending", [], initial: [["name": "i"]],
                initStatuses: [status("i", waiting("CrashLoopBackOff"), restarts: 4, last: "2026-01-02T00:09:50Z")]),
            ["0/1", "Init:CrashLoopBackOff", "4 (10s ago)"]
        ),
        (
            pod("Pending", [], initial: [["name": "i"]], initStatuses: [status("i", terminated(1, "Error"))]),
            ["0/1", "Init:Error", "0"]
        ),
        (
            pod("Pending", [], initial: [["name": "i"]], initStatuses: [status("i", terminated(2))]),
            ["0/1", "Init:ExitCode:2", "0"]
        ),
        (
            pod(
                "Running", [status("c0", running, ready: true, restarts: 1)],
                initial: [["name": "s", "restartPolicy": "Always"]],
                initStatuses: [["name": "s", "started": true, "ready": true, "restartCount": 2, "state": running]]),
            ["2/2", "Running", "3"]
        ),
        (
            pod("Pending", [], conditions: [["type": "PodScheduled", "reason": "SchedulingGated"]]),
            ["0/1", "SchedulingGated", "0"]
        ),
    ])
    func podsShowTheirState(_ pod: JSON, _ expected: [String]) {
        #expect(Array(cells(pod)[1...3]) == expected)
    }

    @Test func podsBeingDeletedTerminate() {
        var pod = Self.pod("Running", [Self.status("c0", Self.running, ready: true)])
        pod["metadata", "deletionTimestamp"] = Self.created
        #expect(cells(pod)[2] == "Terminating")
        pod["status", "reason"] = "NodeLost"
        #expect(cells(pod)[2] == "Unknown")
        var done = Self.pod("Succeeded", [Self.status("c0", Self.terminated(0, "Completed"))])
        done["metadata", "deletionTimestamp"] = Self.created
        #expect(cells(done)[2] == "Completed")
        var evicted = Self.pod("Failed", [])
        evicted["status", "reason"] = "Evicted"
        #expect(cells(evicted)[2] == "Evicted")
    }

    @Test func wideColumnsAndConditions() {
        var pod = Self.pod("Succeeded", [], conditions: [["type": "g", "status": "True"]])
        #expect(Array(cells(pod)[4...]) == ["10m", "<none>", "<none>", "<none>", "<none>"])
        pod["status", "podIPs"] = [["ip": "10.1.0.2"]]
        pod["spec", "nodeName"] = "pi-1"
        pod["spec", "readinessGates"] = [["conditionType": "g"], ["conditionType": "h"]]
        #expect(Array(cells(pod)[5...]) == ["10.1.0.2", "pi-1", "<none>", "1/2"])
        let row = TablePrinter.of(.init("", "v1", "Pod")).row(pod, now: Self.now)
        #expect(row["conditions"]?[0]?["type"] == "Completed")
    }
}

struct TablePrinterTests {
    private static let now = KubeTime("2026-01-02T00:10:00Z") ?? KubeTime(seconds: 0)

    private func row(_ group: String, _ kind: String, _ object: String) throws -> [String] {
        var object = try JSON.parse(object)
        object["metadata", "name"] = "x"
        object["metadata", "creationTimestamp"] = "2026-01-02T00:05:00Z"
        let row = TablePrinter.of(.init(group, "v1", kind)).row(object, now: Self.now)
        return (row["cells"]?.elements ?? []).map { $0.string ?? $0.text() }
    }

    @Test(arguments: [
        ("", "Namespace", #"{"status":{"phase":"Active"}}"#, "x|Active|5m"),
        (
            "", "Node",
            #"{"metadata":{"labels":{"node-role.kubernetes.io/worker":"","node-role.kubernetes.io/control-plane":"","kubernetes.io/role":"z"}},"spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP","address":"1.2.3.4"}],"nodeInfo":{"kubeletVersion":"v1.36.0"}}}"#,
            "x|Ready,SchedulingDisabled|control-plane,worker,z|5m|v1.36.0|1.2.3.4|<none>|<unknown>|<unknown>|<unknown>"
        ),
        (
            "", "Node", #"{"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}}"#,
            "x|NotReady|<none>|5m||<none>|<none>|<unknown>|<unknown>|<unknown>"
        ),
        ("", "ConfigMap", #"{"data":{"a":"1"},"binaryData":{"b":"AA=="}}"#, "x|2|5m"),
        ("", "Secret", #"{"type":"Opaque","data":{"a":"1"}}"#, "x|Opaque|1|5m"),
        ("", "ServiceAccount", "{}", "x|0|5m"),
        (
            "", "Service",
            #"{"spec":{"type":"NodePort","clusterIPs":["10.152.0.9"],"ports":[{"port":80,"nodePort":30080,"protocol":"TCP"},{"port":53,"protocol":"UDP"}],"selector":{"b":"2","a":"1"}}}"#,
            "x|NodePort|10.152.0.9|<none>|80:30080/TCP,53/UDP|5m|a=1,b=2"
        ),
        (
            "", "Service", #"{"spec":{"type":"LoadBalancer","clusterIP":"None"}}"#,
            "x|LoadBalancer|None|<pending>|<none>|5m|<none>"
        ),
        (
            "", "Service",
            #"{"spec":{"type":"LoadBalancer","externalIPs":["5.5.5.5"]},"status":{"loadBalancer":{"ingress":[{"ip":"1.1.1.1"}]}}}"#,
            "x|LoadBalancer|<none>|1.1.1.1,5.5.5.5|<none>|5m|<none>"
        ),
        (
            "", "Service", #"{"spec":{"type":"ExternalName","externalName":"a.b"}}"#,
            "x|ExternalName|<none>|a.b|<none>|5m|<none>"
        ),
        (
            "", "Endpoints",
            #"{"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"1.1.1.2"}],"ports":[{"port":1},{"port":2}]}]}"#,
            "x|1.1.1.1:1,1.1.1.2:1,1.1.1.1:2 + 1 more...|5m"
        ),
        ("", "Endpoints", "{}", "x|<none>|5m"),
        (
            "discovery.k8s.io", "EndpointSlice",
            #"{"addressType":"IPv4","ports":[{"port":80}],"endpoints":[{"addresses":["1.1.1.1"]}]}"#,
            "x|IPv4|80|1.1.1.1|5m"
        ),
        ("discovery.k8s.io", "EndpointSlice", #"{"addressType":"IPv4","endpoints":[]}"#, "x|IPv4|<unset>|<unset>|5m"),
        (
            "apps", "Deployment",
            #"{"spec":{"replicas":3,"selector":{"matchLabels":{"app":"w"}},"template":{"spec":{"containers":[{"name":"a","image":"i"},{"name":"b","image":"j"}]}}},"status":{"readyReplicas":2,"updatedReplicas":3,"availableReplicas":2}}"#,
            "x|2/3|3|2|5m|a,b|i,j|app=w"
        ),
        (
            "apps", "ReplicaSet",
            #"{"spec":{"replicas":3,"selector":{"matchExpressions":[{"key":"k","operator":"In","values":["b","a"]}]}},"status":{"replicas":2}}"#,
            "x|3|2|0|5m|||k in (a,b)"
        ),
        ("apps", "StatefulSet", #"{"spec":{"replicas":0}}"#, "x|0/0|5m||"),
        (
            "apps", "DaemonSet", #"{"spec":{"selector":{}},"status":{"desiredNumberScheduled":1,"numberReady":1}}"#,
            "x|1|0|1|0|0|<none>|5m|||<none>"
        ),
        (
            "apps", "ControllerRevision",
            #"{"metadata":{"ownerReferences":[{"apiVersion":"apps/v1","kind":"DaemonSet","name":"d","uid":"u","controller":true}]},"revision":4}"#,
            "x|daemonset.apps/d|4|5m"
        ),
        (
            "batch", "Job", #"{"spec":{"completions":2},"status":{"succeeded":1,"startTime":"2026-01-02T00:09:00Z"}}"#,
            "x|Running|1/2|60s|5m|||<none>"
        ),
        (
            "batch", "Job",
            #"{"spec":{"parallelism":3},"status":{"conditions":[{"type":"Complete","status":"True"}],"startTime":"2026-01-02T00:00:00Z","completionTime":"2026-01-02T00:00:07Z"}}"#,
            "x|Complete|0/1 of 3|7s|5m|||<none>"
        ),
        (
            "batch", "CronJob",
            #"{"spec":{"schedule":"* * * * *","suspend":false},"status":{"active":[{}],"lastScheduleTime":"2026-01-02T00:09:58Z"}}"#,
            "x|* * * * *|<none>|False|1|2s|5m|||<none>"
        ),
        (
            "", "PersistentVolume",
            #"{"spec":{"capacity":{"storage":"20Gi"},"accessModes":["ReadWriteMany","ReadWriteOnce"],"persistentVolumeReclaimPolicy":"Retain","storageClassName":"manual","claimRef":{"namespace":"n","name":"c"},"volumeMode":"Filesystem"},"status":{"phase":"Bound"}}"#,
            "x|20Gi|RWO,RWX|Retain|Bound|n/c|manual|<unset>||5m|Filesystem"
        ),
        (
            "", "PersistentVolumeClaim",
            #"{"spec":{"volumeName":"v","storageClassName":"manual"},"status":{"phase":"Bound","capacity":{"storage":"1Gi"},"accessModes":["ReadWriteOnce"]}}"#,
            "x|Bound|v|1Gi|RWO|manual|<unset>|5m|<unset>"
        ),
        (
            "", "PersistentVolumeClaim",
            #"{"metadata":{"deletionTimestamp":"2026-01-02T00:09:00Z"},"status":{"phase":"Bound"}}"#,
            "x|Terminating|||||<unset>|5m|<unset>"
        ),
        ("", "PersistentVolumeClaim", #"{"status":{"phase":"Pending"}}"#, "x|Pending|||||<unset>|5m|<unset>"),
        (
            "storage.k8s.io", "StorageClass",
            #"{"metadata":{"annotations":{"storageclass.kubernetes.io/is-default-class":"true"}},"provisioner":"p"}"#,
            "x (default)|p|Delete|Immediate|false|5m"
        ),
        ("coordination.k8s.io", "Lease", #"{"spec":{"holderIdentity":"me"}}"#, "x|me|5m"),
        (
            "", "Event",
            #"{"type":"Normal","reason":"Pulled","message":" m \n","involvedObject":{"kind":"Pod","name":"p","fieldPath":"f"},"source":{"component":"kubelet","host":"pi"},"firstTimestamp":"2026-01-02T00:08:00Z","lastTimestamp":"2026-01-02T00:09:00Z","count":3}"#,
            "60s|Normal|Pulled|pod/p|f|kubelet, pi|m|2m|3|x"
        ),
        (
            "", "Event",
            #"{"eventTime":"2026-01-02T00:09:30.000000Z","reportingComponent":"c","series":{"count":7,"lastObservedTime":"2026-01-02T00:09:59.000000Z"},"involvedObject":{"kind":"Node"}}"#,
            "1s|||node||c||30s|7|x"
        ),
        (
            "networking.k8s.io", "Ingress",
            #"{"spec":{"ingressClassName":"n","rules":[{"host":"a"},{"host":"b"},{"host":"c"},{"host":"d"}],"tls":[{}]}}"#,
            "x|n|a,b,c + 1 more...||80, 443|5m"
        ),
        ("networking.k8s.io", "NetworkPolicy", #"{"spec":{"podSelector":{}}}"#, "x|<none>|5m"),
        (
            "rbac.authorization.k8s.io", "RoleBinding",
            #"{"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"u"},{"kind":"User","name":"v"},{"kind":"ServiceAccount","namespace":"n","name":"s"}]}"#,
            "x|Role/r|5m|u, v||n/s"
        ),
        ("rbac.authorization.k8s.io", "ClusterRole", "{}", "x|2026-01-02T00:05:00Z"),
        (
            "policy", "PodDisruptionBudget", #"{"spec":{"minAvailable":"50%"},"status":{"disruptionsAllowed":1}}"#,
            "x|50%|N/A|1|5m"
        ),
        ("policy", "PodDisruptionBudget", #"{"spec":{"maxUnavailable":1}}"#, "x|N/A|1|0|5m"),
        (
            "certificates.k8s.io", "CertificateSigningRequest",
            #"{"spec":{"signerName":"s","username":"u","expirationSeconds":3600},"status":{"conditions":[{"type":"Approved"}],"certificate":"AA=="}}"#,
            "x|5m|s|u|60m|Approved,Issued"
        ),
        (
            "autoscaling", "HorizontalPodAutoscaler",
            #"{"spec":{"scaleTargetRef":{"kind":"Deployment","name":"d"},"minReplicas":1,"maxReplicas":5,"metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"averageUtilization":50}}}]}}"#,
            "x|Deployment/d|cpu: <unknown>/50%|1|5|0|5m"
        ),
        (
            "", "ResourceQuota", #"{"status":{"hard":{"pods":"4","limits.cpu":"2","cpu":"1"},"used":{"pods":"1"}}}"#,
            "x|cpu: 0/1, pods: 1/4|limits.cpu: 0/2|5m"
        ),
        ("scheduling.k8s.io", "PriorityClass", #"{"value":1000,"globalDefault":true}"#, "x|1000|true|5m|"),
        (
            "apiregistration.k8s.io", "APIService",
            #"{"spec":{"service":null},"status":{"conditions":[{"type":"Available","status":"False","reason":"Gone"}]}}"#,
            "x|Local|False (Gone)|5m"
        ),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration", #"{"webhooks":[{},{}]}"#, "x|2|5m"),
        ("", "LimitRange", "{}", "x|2026-01-02T00:05:00Z"),
    ])
    func kindsHaveTheirCells(_ group: String, _ kind: String, _ object: String, _ expected: String) throws {
        #expect(try row(group, kind, object).joined(separator: "|") == expected)
    }

    /// Every kind has as many cells as columns, also when the object has nothing but a name, and whatever it holds.
    @Test func cellsAgreeWithColumns() throws {
        var random = RandomJSON(seed: 5)
        random.keys += ["status", "type", "ports", "rules", "name", "conditions", "containerStatuses", "subjects"]
        for resource in ResourceTable.builtIn.resources {
            let printer = TablePrinter.of(resource.groupVersionKind)
            #expect(printer.columns.contains { $0.format == "name" }, "\(resource.kind)")
            for object in [[:], ["spec": random.value(depth: 4), "status": random.value(depth: 4)]] as [JSON] {
                let cells = printer.row(object, now: Self.now)["cells"]?.elements.count
                #expect(cells == printer.columns.count, "\(resource.kind)")
            }
        }
    }

    @Test func tablesHaveTheirWireForm() {
        let printer = TablePrinter.of(.init("", "v1", "ConfigMap"))
        let object: JSON = ["kind": "ConfigMap", "metadata": ["name": "x"], "data": ["a": "b"]]
        let table = printer.table([object], metadata: ["resourceVersion": "7"], now: Self.now)
        #expect(table["kind"] == "Table" && table["apiVersion"] == "meta.k8s.io/v1")
        #expect(table["metadata"]?["resourceVersion"] == "7")
        #expect(
            table["columnDefinitions"]?[0] == [
                "name": "Name", "type": "string", "format": "name",
                "description": "The name of the object, unique within its namespace and kind.", "priority": 0,
            ])
        #expect(table["rows"]?[0]?["object"]?["kind"] == "PartialObjectMetadata")
        #expect(table["rows"]?[0]?["object"]?["data"] == nil)
        #expect(printer.row(object, now: Self.now, include: .object)["object"] == object)
        #expect(printer.row(object, now: Self.now, include: .none)["object"] == .null)
        #expect(printer.table([object], now: Self.now, withColumns: false)["columnDefinitions"] == .null)
    }
}
