// SPDX-License-Identifier: Apache-2.0

import JSON

/// Workloads: apps, batch, autoscaling, scheduling.
extension TablePrinter {
    static let workloadPrinters: [String: TablePrinter] = [
        "/ReplicationController": .init(
            "Name|Desired:integer|Current:integer|Ready:integer|Age|Containers*|Images*|Selector*"
        ) { replicas($0) + $0.containers($0.podSpec) + [$0.labels($0.spec?["selector"])] },
        "apps/ReplicaSet": .init(
            "Name|Desired:integer|Current:integer|Ready:integer|Age|Containers*|Images*|Selector*"
        ) { replicas($0) + $0.containers($0.podSpec) + [$0.selector($0.spec?["selector"])] },
        "apps/Deployment": .init("Name|Ready|Up-to-date|Available|Age|Containers*|Images*|Selector*") { object in
            let selector = (try? LabelSelector(json: object.spec?["selector"]))?.description ?? "<invalid>"
            return [
                object.name, readiness(object), object.integer(object.status?["updatedReplicas"]),
                object.integer(object.status?["availableReplicas"]), object.age,
            ] + object.containers(object.podSpec) + [.string(selector)]
        },
        "apps/StatefulSet": .init("Name|Ready|Age|Containers*|Images*") {
            [$0.name, readiness($0), $0.age] + $0.containers($0.podSpec)
        },
        "apps/DaemonSet": daemonSet,
        "apps/ControllerRevision": .init("Name|Controller|Revision|Age") { object in
            let owner = KubeObject(object.json).controller
            let group = owner.flatMap { GroupVersion(apiVersion: $0.apiVersion)?.group } ?? ""
            let kind = owner.map { ($0.kind + (group.isEmpty ? "" : ".\(group)")).lowercased() } ?? ""
            return [
                object.name, .string(owner.map { "\(kind)/\($0.name)" } ?? "<none>"),
                object.integer(object.json["revision"]), object.age,
            ]
        },
        "batch/Job": job,
        "batch/CronJob": cronJob,
        "autoscaling/HorizontalPodAutoscaler": .init("Name|Reference|Targets|MinPods|MaxPods|Replicas|Age") {
            let target = $0.spec?["scaleTargetRef"]
            return [
                $0.name, .string("\(target?["kind"]?.string ?? "")/\(target?["name"]?.string ?? "")"),
                .string(AutoscalerMetrics.text($0)), .string($0.text($0.spec?["minReplicas"], else: "<unset>")),
                $0.integer($0.spec?["maxReplicas"]), $0.integer($0.status?["currentReplicas"]), $0.age,
            ]
        },
        "autoscaling/Scale": .init("Name|Desired:integer|Available:integer|Age") {
            [$0.name, $0.integer($0.spec?["replicas"]), $0.integer($0.status?["replicas"]), $0.age]
        },
        "scheduling.k8s.io/PriorityClass": .init(
            "Name|Value:integer|Global-Default:boolean|Age|PreemptionPolicy"
        ) {
            [
                $0.name, $0.integer($0.json["value"]), .bool($0.json["globalDefault"]?.bool ?? false), $0.age,
                $0.string($0.json["preemptionPolicy"]),
            ]
        },
        "node.k8s.io/RuntimeClass": .init("Name|Handler|Age") { [$0.name, $0.string($0.json["handler"]), $0.age] },
    ]

    private static func replicas(_ object: PrintedObject) -> [JSON] {
        [
            object.name, object.integer(object.spec?["replicas"], else: 1), object.integer(object.status?["replicas"]),
            object.integer(object.status?["readyReplicas"]), object.age,
        ]
    }

    private static func readiness(_ object: PrintedObject) -> JSON {
        .string("\(object.status?["readyReplicas"]?.int ?? 0)/\(object.spec?["replicas"]?.int ?? 1)")
    }

    private static let daemonSet = TablePrinter(
        """
        Name|Desired:integer|Current:integer|Ready:integer|Up-to-date:integer|Available:integer|Node Selector|Age|\
        Containers*|Images*|Selector*
        """
    ) { object in
        let counts = [
            "desiredNumberScheduled", "currentNumberScheduled", "numberReady", "updatedNumberScheduled",
            "numberAvailable",
        ].map { object.integer(object.status?[$0]) }
        return [object.name] + counts + [object.labels(object.podSpec?["nodeSelector"]), object.age]
            + object.containers(object.podSpec) + [object.selector(object.spec?["selector"])]
    }

    private static let job = TablePrinter(
        "Name|Status|Completions|Duration|Age|Containers*|Images*|Selector*"
    ) { job in
        func holds(_ condition: String) -> Bool { job.condition(condition)?["status"] == "True" }
        let status: JSON =
            if holds("Complete") {
                "Complete"
            } else if holds("Failed") {
                "Failed"
            } else if job.isBeingDeleted {
                "Terminating"
            } else if holds("Suspended") {
                "Suspended"
            } else if holds("FailureTarget") {
                "FailureTarget"
            } else {
                "Running"
            }
        let succeeded = job.status?["succeeded"]?.int ?? 0
        let parallelism = job.spec?["parallelism"]?.int ?? 0
        let wanted =
            job.spec?["completions"]?.int.map(String.init) ?? (parallelism > 1 ? "1 of \(parallelism)" : "1")
        return [job.name, status, .string("\(succeeded)/\(wanted)"), .string(duration(job)), job.age]
            + job.containers(job.podSpec) + [job.selector(job.spec?["selector"])]
    }

    private static func duration(_ job: PrintedObject) -> String {
        guard let start = job.status?["startTime"]?.string.flatMap({ KubeTime($0) }) else { return "" }
        let end = job.status?["completionTime"]?.string.flatMap { KubeTime($0) } ?? job.now
        return HumanDuration.text(seconds: end.timeInterval(since: start))
    }

    private static let cronJob = TablePrinter(
        "Name|Schedule|Timezone|Suspend:boolean|Active:integer|Last Schedule|Age|Containers*|Images*|Selector*"
    ) { object in
        let last = object.status?["lastScheduleTime"]
        let template = object.spec?["jobTemplate"]?["spec"]
        let suspend: JSON =
            switch object.spec?["suspend"]?.bool {
            case true?: "True"
            case false?: "False"
            case nil: "<unset>"
            }
        return [
            object.name, object.string(object.spec?["schedule"]),
            object.string(object.spec?["timeZone"], else: "<none>"),
            suspend, JSON(object.count(object.status?["active"])),
            .string(last?.string == nil ? "<none>" : object.since(last)), object.age,
        ] + object.containers(template?["template"]?["spec"]) + [object.selector(template?["selector"])]
    }
}

/// The `TARGETS` of a HorizontalPodAutoscaler, in the form of autoscaling/v2 or v1.
enum AutoscalerMetrics {
    private static let maximum = 2

    static func text(_ object: PrintedObject) -> String {
        if let target = object.spec?["targetCPUUtilizationPercentage"]?.int {
            let current = object.status?["currentCPUUtilizationPercentage"]?.int
            return "cpu: \(current.map { "\($0)%" } ?? "<unknown>")/\(target)%"
        }
        let specs = object.spec?["metrics"]?.elements ?? []
        if specs.isEmpty { return "<none>" }
        let statuses = object.status?["currentMetrics"]?.elements ?? []
        let list = specs.enumerated().map { index, spec in
            text(spec, status: index < statuses.count ? statuses[index] : nil, object)
        }
        let shown = list.prefix(maximum).joined(separator: ", ")
        return list.count > maximum ? "\(shown) + \(list.count - maximum) more..." : shown
    }

    private static func text(_ spec: JSON, status: JSON?, _ object: PrintedObject) -> String {
        let fields = [
            "External": "external", "Pods": "pods", "Object": "object", "Resource": "resource",
            "ContainerResource": "containerResource",
        ]
        guard let field = fields[spec["type"]?.string ?? ""] else { return "<unknown type>" }
        let target = spec[field]?["target"]
        let current = status?[field]?["current"]
        func value(_ json: JSON?, _ key: String) -> String { object.text(json?[key], else: "<unknown>") }
        switch field {
        case "pods": return "\(value(current, "averageValue"))/\(value(target, "averageValue"))"
        case "external", "object":
            if target?["averageValue"] != nil {
                return "\(value(current, "averageValue"))/\(value(target, "averageValue")) (avg)"
            }
            return "\(value(current, "value"))/\(value(target, "value"))"
        default:
            let name = spec[field]?["name"]?.string ?? ""
            if target?["averageValue"] != nil {
                return "\(name): \(value(current, "averageValue"))/\(value(target, "averageValue"))"
            }
            func percent(_ json: JSON?, else fallback: String) -> String {
                json?["averageUtilization"]?.int.map { "\($0)%" } ?? fallback
            }
            return "\(name): \(percent(current, else: "<unknown>"))/\(percent(target, else: "<auto>"))"
        }
    }
}
