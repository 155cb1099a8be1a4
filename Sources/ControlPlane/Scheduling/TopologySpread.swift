// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// A constraint on how evenly pods of a kind lie over the domains of a topology (KEP-895).
struct SpreadConstraint: Sendable {
    let maxSkew: Int
    let minDomains: Int
    let topologyKey: String
    let isHard: Bool
    let selector: LabelSelector?
    let honoursAffinity: Bool
    let honoursTaints: Bool

    init(_ json: JSON, of pod: PodView) {
        maxSkew = json["maxSkew"]?.int ?? 1
        minDomains = json["minDomains"]?.int ?? 1
        topologyKey = json["topologyKey"]?.string ?? ""
        isHard = json["whenUnsatisfiable"]?.string != "ScheduleAnyway"
        honoursAffinity = json["nodeAffinityPolicy"]?.string != "Ignore"
        honoursTaints = json["nodeTaintsPolicy"]?.string == "Honor"
        var labelSelector = json["labelSelector"]
        let labels = pod.object.labels
        for key in json["matchLabelKeys"]?.elements.compactMap(\.string) ?? [] {
            if let value = labels[key] { labelSelector?["matchLabels", key] = .string(value) }
        }
        // A selector that cannot be read was refused when the pod was written; here it matches nothing.
        selector = labelSelector.flatMap { try? LabelSelector(json: $0) }
    }

    static func all(of pod: PodView) -> [SpreadConstraint] {
        (pod.object.spec["topologySpreadConstraints"]?.elements ?? []).map { SpreadConstraint($0, of: pod) }
    }

    /// Matching pods by domain, over the nodes that count for the pod.
    func counts(for demand: PodDemand, in snapshot: Filters.Snapshot) -> [String: Int] {
        var counts: [String: Int] = [:]
        for node in snapshot.nodes {
            guard let domain = node.labels[topologyKey] else { continue }
            if honoursAffinity, Filters.nodeAffinity(demand, node, snapshot) != nil { continue }
            if honoursTaints, Filters.taints(demand, node, snapshot) != nil { continue }
            counts[domain, default: 0] += node.pods.values.count { other in
                other.key.namespace == demand.key.namespace && !other.pod.object.isBeingDeleted
                    && (selector?.matches(other.labels) ?? false)
            }
        }
        return counts
    }
}

extension Filters {
    static let topologySpread: Filter = { demand, node, snapshot in
        for constraint in SpreadConstraint.all(of: demand.pod) where constraint.isHard {
            guard let domain = node.labels[constraint.topologyKey] else {
                return Refusal(["node(s) didn't match pod topology spread constraints (missing required label)"])
            }
            let counts = constraint.counts(for: demand, in: snapshot)
            let least = counts.count < constraint.minDomains ? 0 : counts.values.min() ?? 0
            let own = constraint.selector?.matches(demand.labels) ?? false ? 1 : 0
            if (counts[domain] ?? 0) + own - least > constraint.maxSkew {
                return Refusal(["node(s) didn't match pod topology spread constraints"], isResolvable: true)
            }
        }
        return nil
    }
}
