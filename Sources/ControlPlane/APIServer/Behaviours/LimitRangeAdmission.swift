// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Fills in and enforces the limits that a namespace sets its containers (upstream:
/// `plugin/pkg/admission/limitranger`).
enum LimitRangeAdmission {
    private static let ranges = GroupVersionResource("", "v1", "limitranges")

    static func admit(_ change: Change, _ pod: inout KubeObject) throws(StatusError) {
        let items = change.registry.cachedObjects(ranges, pod.namespace)
            .flatMap { $0.spec["limits"]?.elements ?? [] }.filter { $0["type"]?.string == "Container" }
        guard !items.isEmpty else { return }
        var problems: [String] = []
        for list in ["initContainers", "containers"] {
            guard var containers = pod.spec[list]?.array else { continue }
            for index in containers.indices {
                for item in items {
                    fillIn(&containers[index], item)
                    problems += violations(containers[index], item)
                }
            }
            pod.json["spec", list] = .array(containers)
        }
        guard problems.isEmpty else {
            let text = problems.count == 1 ? problems[0] : "[\(problems.joined(separator: ", "))]"
            throw change.forbidden(pod.name, text)
        }
    }

    private static func fillIn(_ container: inout JSON, _ item: JSON) {
        for (kind, source) in [("limits", "default"), ("requests", "defaultRequest")] {
            for (resource, quantity) in item[source]?.members ?? [:]
            where container["resources"]?[kind]?[resource] == nil {
                // A limit that the user set is the request as well.
                if kind == "requests", let limit = container["resources"]?["limits"]?[resource],
                    Quantity(limit).map({ $0 < Quantity(quantity) ?? .zero }) ?? false
                {
                    container["resources", kind, resource] = limit
                } else {
                    container["resources", kind, resource] = quantity
                }
            }
        }
    }

    private static func violations(_ container: JSON, _ item: JSON) -> [String] {
        var problems: [String] = []
        for (resource, minimum) in item["min"]?.members ?? [:] {
            let request = Quantity(container["resources"]?["requests"]?[resource])
            guard let request else {
                problems.append(
                    "minimum \(resource) usage per Container is \(minimum.string ?? ""). No request is specified")
                continue
            }
            if let bound = Quantity(minimum), request < bound {
                problems.append(
                    "minimum \(resource) usage per Container is \(minimum.string ?? ""), but request is \(request)")
            }
        }
        for (resource, maximum) in item["max"]?.members ?? [:] {
            let limit = Quantity(container["resources"]?["limits"]?[resource])
            guard let limit else {
                problems.append(
                    "maximum \(resource) usage per Container is \(maximum.string ?? ""). No limit is specified")
                continue
            }
            if let bound = Quantity(maximum), limit > bound {
                problems.append(
                    "maximum \(resource) usage per Container is \(maximum.string ?? ""), but limit is \(limit)")
            }
        }
        return problems
    }
}
