// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// How well nodes suit a pod, 0 to 100 per aspect and weighted: upstream's score plug-ins with their default weights.
enum Scores {
    /// The best of several nodes that can all take the pod; of equals the first by name.
    static func best(of nodes: [NodeState], for demand: PodDemand, in snapshot: Filters.Snapshot) -> NodeState? {
        guard nodes.count > 1 else { return nodes.first }
        let totals = total(nodes, for: demand, in: snapshot)
        return zip(nodes, totals).max { left, right in
            left.1 == right.1 ? left.0.name > right.0.name : left.1 < right.1
        }?.0
    }

    private static func total(_ nodes: [NodeState], for demand: PodDemand, in snapshot: Filters.Snapshot) -> [Double] {
        let aspects: [(weight: Double, scores: [Double])] = [
            (1, nodes.map { leastAllocated($0, demand) }),
            (1, nodes.map { balancedAllocation($0, demand) }),
            (3, normalised(nodes.map { -Double(softTaints($0, demand)) })),
            (2, normalised(nodes.map { Double(preferredAffinity($0, demand)) })),
            (2, normalised(nodes.map { Double(podAffinity($0, demand, snapshot)) })),
            (2, normalised(nodes.map { -Double(spread($0, demand, snapshot)) })),
            (1, nodes.map { imageLocality($0, demand) }),
        ]
        return nodes.indices.map { index in aspects.reduce(0) { $0 + $1.weight * $1.scores[index] } }
    }

    /// Stretches scores to 0...100; all 0 when they are equal.
    private static func normalised(_ scores: [Double]) -> [Double] {
        guard let least = scores.min(), let most = scores.max(), most > least else { return scores.map { _ in 0 } }
        return scores.map { ($0 - least) / (most - least) * 100 }
    }

    private static func fractions(_ node: NodeState, _ demand: PodDemand) -> [Double] {
        ["cpu", "memory"].map { name in
            let all = node.allocatable(name).double
            guard all > 0 else { return 1 }
            return min(1, (node.requested(name) + demand.request(name)).double / all)
        }
    }

    private static func leastAllocated(_ node: NodeState, _ demand: PodDemand) -> Double {
        let fractions = fractions(node, demand)
        return fractions.reduce(0) { $0 + (1 - $1) * 100 } / Double(fractions.count)
    }

    private static func balancedAllocation(_ node: NodeState, _ demand: PodDemand) -> Double {
        let fractions = fractions(node, demand)
        return (1 - abs(fractions[0] - fractions[1]) / 2) * 100
    }

    private static func softTaints(_ node: NodeState, _ demand: PodDemand) -> Int {
        node.taints.count { $0.effect == "PreferNoSchedule" && !$0.isTolerated(by: demand.pod.tolerations) }
    }

    private static func preferredAffinity(_ node: NodeState, _ demand: PodDemand) -> Int {
        let affinity = demand.pod.object.spec["affinity"]?["nodeAffinity"]
        return (affinity?["preferredDuringSchedulingIgnoredDuringExecution"]?.elements ?? []).reduce(0) { sum, term in
            let selector = NodeSelector(["nodeSelectorTerms": [term["preference"] ?? .object([:])]])
            return selector.matches(node.node) ? sum + (term["weight"]?.int ?? 0) : sum
        }
    }

    private static func podAffinity(_ node: NodeState, _ demand: PodDemand, _ snapshot: Filters.Snapshot) -> Int {
        func sum(_ kind: String) -> Int {
            PodAffinityTerm.preferred(kind, of: demand.pod).reduce(0) { sum, entry in
                guard let domain = node.labels[entry.term.topologyKey] else { return sum }
                let matches = snapshot.nodes.filter { $0.labels[entry.term.topologyKey] == domain }
                    .reduce(0) { count, other in
                        count
                            + other.pods.values.count {
                                entry.term.matches($0, namespaceLabels: snapshot.namespaceLabels)
                            }
                    }
                return sum + matches * entry.weight
            }
        }
        return sum("podAffinity") - sum("podAntiAffinity")
    }

    /// Matching pods in the node's domains, over the soft constraints; without any, pods that look like this one.
    private static func spread(_ node: NodeState, _ demand: PodDemand, _ snapshot: Filters.Snapshot) -> Int {
        let soft = SpreadConstraint.all(of: demand.pod).filter { !$0.isHard }
        if soft.isEmpty {
            guard let owner = demand.pod.object.controller else { return 0 }
            return node.pods.values.count { $0.pod.object.controller?.uid == owner.uid }
        }
        return soft.reduce(0) { sum, constraint in
            guard let domain = node.labels[constraint.topologyKey] else { return sum }
            return sum + (constraint.counts(for: demand, in: snapshot)[domain] ?? 0)
        }
    }

    /// More for a node that already has large images of the pod (upstream's 23 MB to 1 GB per container).
    private static func imageLocality(_ node: NodeState, _ demand: PodDemand) -> Double {
        let wanted = Set(demand.pod.containers.compactMap { $0["image"]?.string })
        let present = (node.node.status["images"]?.elements ?? []).reduce(0.0) { sum, image in
            let names = image["names"]?.elements.compactMap(\.string) ?? []
            return names.contains(where: wanted.contains) ? sum + (image["sizeBytes"]?.double ?? 0) : sum
        }
        let (least, most) = (23e6, 1e9 * Double(max(1, wanted.count)))
        return (min(max(present, least), most) - least) / (most - least) * 100
    }
}
