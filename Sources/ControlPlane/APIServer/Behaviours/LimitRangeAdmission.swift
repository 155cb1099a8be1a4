// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Fills in and enforces the limits that a namespace sets its pods, their containers and its claims (upstream:
/// `plugin/pkg/admission/limitranger`).
enum LimitRangeAdmission {
    private static let ranges = GroupVersionResource("", "v1", "limitranges")

    /// Fills in what the containers of a new pod leave out, and refuses what lies outside the limits.
    static func admit(_ change: Change, _ pod: inout KubeObject) throws(StatusError) {
        let ranges = limits(change, in: pod.namespace)
        guard !ranges.isEmpty else { return }
        for list in ["initContainers", "containers"] {
            guard var containers = pod.spec[list]?.array else { continue }
            for index in containers.indices {
                for item in ranges.joined() where item["type"] == "Container" { fillIn(&containers[index], item) }
            }
            pod.json["spec", list] = .array(containers)
        }
        try check(change, pod, ranges)
    }

    /// Refuses a pod that is resized out of the limits.
    static func admitResize(_ change: Change, _ pod: KubeObject) throws(StatusError) {
        if change.old?.isBeingDeleted ?? false { return }
        try check(change, pod, limits(change, in: pod.namespace))
    }

    /// Refuses a claim that asks for less or more than the limits allow.
    static func admitClaim(_ change: Change, _ claim: KubeObject) throws(StatusError) {
        guard change.subresource.isEmpty, !(change.old?.isBeingDeleted ?? false) else { return }
        let demand = LimitDemand(kind: "PersistentVolumeClaim", requests: quantities(claim, "requests"), limits: [:])
        for items in limits(change, in: claim.namespace) {
            let problems = items.filter { $0["type"]?.string == demand.kind }.flatMap(demand.claimViolations)
            try refuse(change, claim, problems)
        }
    }

    /// The items of each LimitRange of a namespace.
    private static func limits(_ change: Change, in namespace: String) -> [[JSON]] {
        change.registry.cachedObjects(ranges, namespace).map { $0.spec["limits"]?.elements ?? [] }
    }

    private static func quantities(_ claim: KubeObject, _ kind: String) -> [String: Quantity] {
        LimitDemand.quantities(claim.spec["resources"]?[kind])
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

    private static func check(_ change: Change, _ pod: KubeObject, _ ranges: [[JSON]]) throws(StatusError) {
        let containers = (pod.spec["containers"]?.elements ?? []) + (pod.spec["initContainers"]?.elements ?? [])
        var bare = pod
        // A runtime's overhead is not the user's doing.
        bare.spec["overhead"] = nil
        let whole = LimitDemand(kind: "Pod", requests: PodView(bare).requests, limits: PodView(bare).limits)
        let demands = ["Container": containers.map(LimitDemand.init(container:)), "Pod": [whole]]
        for items in ranges {
            let problems = items.flatMap { item in
                (demands[item["type"]?.string ?? ""] ?? []).flatMap { $0.violations(item) }
            }
            try refuse(change, pod, problems)
        }
    }

    private static func refuse(_ change: Change, _ object: KubeObject, _ problems: [String]) throws(StatusError) {
        var told: [String] = []
        for problem in problems where !told.contains(problem) { told.append(problem) }
        guard !told.isEmpty else { return }
        throw change.forbidden(object.name, told.count == 1 ? told[0] : "[\(told.joined(separator: ", "))]")
    }
}

/// What a container, a pod or a claim asks for, and how that offends against an item of a LimitRange.
struct LimitDemand: Sendable {
    /// `Container`, `Pod` or `PersistentVolumeClaim`.
    var kind: String
    var requests: [String: Quantity]
    var limits: [String: Quantity]

    init(kind: String, requests: [String: Quantity], limits: [String: Quantity]) {
        self.kind = kind
        self.requests = requests
        self.limits = limits
    }

    init(container: JSON) {
        self.init(
            kind: "Container", requests: Self.quantities(container["resources"]?["requests"]),
            limits: Self.quantities(container["resources"]?["limits"]))
    }

    static func quantities(_ json: JSON?) -> [String: Quantity] {
        var result: [String: Quantity] = [:]
        for (name, value) in json?.members ?? [:] { result[name] = Quantity(value) }
        return result
    }

    /// All offences against an item, in upstream's words.
    func violations(_ item: JSON) -> [String] {
        each(item["min"], belowMinimum) + each(item["max"], aboveMaximum)
            + each(item["maxLimitRequestRatio"], aboveRatio)
    }

    /// A claim's limits mean nothing, so only what it requests is compared.
    func claimViolations(_ item: JSON) -> [String] {
        each(item["min"], belowMinimum) + each(item["max"], requestAboveMaximum)
    }

    private func each(_ bounds: JSON?, _ problem: (String, Quantity) -> String?) -> [String] {
        (bounds?.members ?? [:]).compactMap { name, value in Quantity(value).flatMap { problem(name, $0) } }
    }

    private func belowMinimum(_ name: String, _ bound: Quantity) -> String? {
        let start = "minimum \(name) usage per \(kind) is \(bound)"
        guard let request = requests[name] else { return "\(start).  No request is specified" }
        if request < bound { return "\(start), but request is \(request)" }
        if let limit = limits[name], limit < bound { return "\(start), but limit is \(limit)" }
        return nil
    }

    private func aboveMaximum(_ name: String, _ bound: Quantity) -> String? {
        let start = "maximum \(name) usage per \(kind) is \(bound)"
        guard let limit = limits[name] else { return "\(start).  No limit is specified" }
        if limit > bound { return "\(start), but limit is \(limit)" }
        if let request = requests[name], request > bound { return "\(start), but request is \(request)" }
        return nil
    }

    private func requestAboveMaximum(_ name: String, _ bound: Quantity) -> String? {
        let start = "maximum \(name) usage per \(kind) is \(bound)"
        guard let request = requests[name] else { return "\(start).  No request is specified" }
        return request > bound ? "\(start), but request is \(request)" : nil
    }

    private func aboveRatio(_ name: String, _ bound: Quantity) -> String? {
        let start = "\(name) max limit to request ratio per \(kind) is \(bound), but"
        guard let request = requests[name], !request.isZero else {
            return "\(start) no request is specified or request is 0"
        }
        guard let limit = limits[name], !limit.isZero else { return "\(start) no limit is specified or limit is 0" }
        let ratio = limit.double / request.double
        return ratio > bound.double ? "\(start) provided ratio is \(Self.sixDigits(ratio))" : nil
    }

    /// A positive number as Go's `%f` shows it.
    private static func sixDigits(_ number: Double) -> String {
        // Nobody reads the digits of a ratio beyond a million million.
        let micros = Int((min(number, 1e12) * 1e6).rounded())
        let fraction = String(micros % 1_000_000)
        return "\(micros / 1_000_000).\(String(repeating: "0", count: 6 - fraction.count))\(fraction)"
    }
}
