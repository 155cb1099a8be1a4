// SPDX-License-Identifier: Apache-2.0

import JSON

/// The core group's kinds.
extension TablePrinter {
    static let corePrinters: [String: TablePrinter] = [
        "/Pod": PodPrinter.printer,
        "/Node": node,
        "/Namespace": .init("Name|Status|Age") { [$0.name, $0.string($0.status?["phase"]), $0.age] },
        "/ConfigMap": .init("Name|Data|Age") {
            [$0.name, JSON($0.count($0.json["data"]) + $0.count($0.json["binaryData"])), $0.age]
        },
        "/Secret": .init("Name|Type|Data|Age") {
            [$0.name, $0.string($0.json["type"]), JSON($0.count($0.json["data"])), $0.age]
        },
        "/ServiceAccount": .init("Name|Secrets|Age") { [$0.name, JSON($0.count($0.json["secrets"])), $0.age] },
        "/Event": event, "events.k8s.io/Event": event,
        "/PodTemplate": .init("Name|Containers|Images|Pod Labels") {
            [$0.name] + $0.containers($0.json["template"]?["spec"])
                + [$0.labels($0.json["template"]?["metadata"]?["labels"])]
        },
        "/ResourceQuota": resourceQuota,
        "/ComponentStatus": .init("Name|Status|Message|Error") { object in
            let healthy = object.json["conditions"]?.elements.first { $0["type"] == "Healthy" }
            let status = healthy.map { $0["status"] == "True" ? "Healthy" : "Unhealthy" } ?? "Unknown"
            return [
                object.name, .string(status), object.string(healthy?["message"]), object.string(healthy?["error"]),
            ]
        },
        "coordination.k8s.io/Lease": .init("Name|Holder|Age") {
            [$0.name, $0.string($0.spec?["holderIdentity"]), $0.age]
        },
        "coordination.k8s.io/LeaseCandidate": .init("Name|LeaseName|BinaryVersion|EmulationVersion|Age") {
            [
                $0.name, $0.string($0.spec?["leaseName"]), $0.string($0.spec?["binaryVersion"]),
                $0.string($0.spec?["emulationVersion"]), $0.age,
            ]
        },
    ]

    private static let node = TablePrinter(
        "Name|Status|Roles|Age|Version|Internal-IP*|External-IP*|OS-Image*|Kernel-Version*|Container-Runtime*"
    ) { node in
        var status = node.condition("Ready").map { $0["status"] == "True" ? "Ready" : "NotReady" } ?? "Unknown"
        if node.spec?["unschedulable"] == true { status += ",SchedulingDisabled" }
        func address(_ type: String) -> JSON {
            node.status?["addresses"]?.elements.first { $0["type"]?.string == type }?["address"] ?? "<none>"
        }
        let info = node.status?["nodeInfo"]
        return [
            node.name, .string(status), .string(roles(node)), node.age, node.string(info?["kubeletVersion"]),
            address("InternalIP"), address("ExternalIP"), node.string(info?["osImage"], else: "<unknown>"),
            node.string(info?["kernelVersion"], else: "<unknown>"),
            node.string(info?["containerRuntimeVersion"], else: "<unknown>"),
        ]
    }

    private static func roles(_ node: PrintedObject) -> String {
        let prefix = "node-role.kubernetes.io/"
        var roles: Set<String> = []
        for (key, value) in node.metadata?["labels"]?.stringMap ?? [:] {
            if key.hasPrefix(prefix) {
                let role = String(key.dropFirst(prefix.count))
                if !role.isEmpty { roles.insert(role) }
            } else if key == "kubernetes.io/role", !value.isEmpty {
                roles.insert(value)
            }
        }
        return roles.isEmpty ? "<none>" : roles.sorted().joined(separator: ",")
    }

    private static let event = TablePrinter(
        "Last Seen|Type|Reason|Object|Subobject*|Source*|Message|First Seen*|Count*|Name*"
    ) { event in
        let json = event.json
        let eventTime = json["eventTime"]
        func isSet(_ time: JSON?) -> Bool { time?.string != nil }
        let firstTime = json["firstTimestamp"] ?? json["deprecatedFirstTimestamp"]
        let first = event.since(isSet(firstTime) ? firstTime : eventTime)
        let lastTime = json["lastTimestamp"] ?? json["deprecatedLastTimestamp"]
        var last = isSet(lastTime) ? event.since(lastTime) : first
        var count = (json["count"] ?? json["deprecatedCount"])?.int ?? 0
        if let series = json["series"], series.object != nil {
            last = event.since(series["lastObservedTime"])
            count = series["count"]?.int ?? 0
        } else if count == 0 {
            count = 1
        }
        let object = json["involvedObject"] ?? json["regarding"]
        let kind = (object?["kind"]?.string ?? "").lowercased()
        let name = object?["name"]?.string ?? ""
        return [
            .string(last), event.string(json["type"]), event.string(json["reason"]),
            .string(name.isEmpty ? kind : "\(kind)/\(name)"), event.string(object?["fieldPath"]),
            .string(eventSource(json)), .string(trimmed((json["message"] ?? json["note"])?.string ?? "")),
            .string(first), JSON(count), event.name,
        ]
    }

    private static func eventSource(_ json: JSON) -> String {
        func first(_ candidates: JSON?...) -> String {
            candidates.lazy.compactMap { $0?.string }.first { !$0.isEmpty } ?? ""
        }
        let source = json["source"] ?? json["deprecatedSource"]
        let component = first(source?["component"], json["reportingComponent"], json["reportingController"])
        let host = first(source?["host"], json["reportingInstance"])
        return host.isEmpty ? component : "\(component), \(host)"
    }

    private static func trimmed(_ text: String) -> String {
        var text = text[...]
        while text.first?.isWhitespace == true { text.removeFirst() }
        while text.last?.isWhitespace == true { text.removeLast() }
        return String(text)
    }

    private static let resourceQuota = TablePrinter("Name|Request|Limit|Age") { quota in
        var requests: [String] = []
        var limits: [String] = []
        for (resource, hard) in (quota.status?["hard"]?.members ?? [:]).sorted(by: { $0.key < $1.key }) {
            let used = quota.text(quota.status?["used"]?[resource], else: "0")
            let text = "\(resource): \(used)/\(quota.text(hard, else: "0"))"
            if resource.hasPrefix("limits.") { limits.append(text) } else { requests.append(text) }
        }
        return [
            quota.name, .string(requests.joined(separator: ", ")), .string(limits.joined(separator: ", ")), quota.age,
        ]
    }
}
