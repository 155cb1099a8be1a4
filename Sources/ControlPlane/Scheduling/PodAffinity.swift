// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// A term of a pod's affinity or anti-affinity to other pods.
struct PodAffinityTerm: Sendable {
    let selector: LabelSelector?
    let namespaces: Set<String>
    let namespaceSelector: LabelSelector?
    let topologyKey: String

    init(_ json: JSON, of pod: PodView) {
        // Terms that cannot be read were refused when the pod was written; here they match nothing.
        selector = json["labelSelector"].flatMap { $0.isNull ? nil : try? LabelSelector(json: $0) }
        namespaceSelector = json["namespaceSelector"].flatMap { $0.isNull ? nil : try? LabelSelector(json: $0) }
        topologyKey = json["topologyKey"]?.string ?? ""
        let named = Set(json["namespaces"]?.elements.compactMap(\.string) ?? [])
        namespaces = named.isEmpty && namespaceSelector == nil ? [pod.object.namespace] : named
    }

    /// The required terms of a pod: `podAffinity` or `podAntiAffinity`.
    static func required(_ kind: String, of pod: PodView) -> [PodAffinityTerm] {
        let terms = pod.object.spec["affinity"]?[kind]?["requiredDuringSchedulingIgnoredDuringExecution"]
        return (terms?.elements ?? []).map { PodAffinityTerm($0, of: pod) }
    }

    /// The preferred terms with their weights.
    static func preferred(_ kind: String, of pod: PodView) -> [(term: PodAffinityTerm, weight: Int)] {
        let terms = pod.object.spec["affinity"]?[kind]?["preferredDuringSchedulingIgnoredDuringExecution"]
        return (terms?.elements ?? []).map { term in
            (PodAffinityTerm(term["podAffinityTerm"] ?? .object([:]), of: pod), term["weight"]?.int ?? 0)
        }
    }

    func matches(_ demand: PodDemand, namespaceLabels: (String) -> [String: String]) -> Bool {
        guard let selector, selector.matches(demand.labels) else { return false }
        if namespaces.contains(demand.key.namespace) { return true }
        return namespaceSelector?.matches(namespaceLabels(demand.key.namespace)) ?? false
    }
}

extension Filters {
    static let podAffinity: Filter = { demand, node, snapshot in
        let pod = demand.pod
        for term in PodAffinityTerm.required("podAffinity", of: pod) {
            if !hasMatch(term, near: node, snapshot), !isFirstOfItsKind(demand, term, node, snapshot) {
                return Refusal(["node(s) didn't match pod affinity rules"])
            }
        }
        for term in PodAffinityTerm.required("podAntiAffinity", of: pod) where hasMatch(term, near: node, snapshot) {
            return Refusal(["node(s) didn't match pod anti-affinity rules"], isResolvable: true)
        }
        return existingRefuse(demand, node, snapshot)
            ? Refusal(["node(s) didn't satisfy existing pods anti-affinity rules"], isResolvable: true) : nil
    }

    /// Whether a pod that the term matches is in the node's topology domain.
    private static func hasMatch(_ term: PodAffinityTerm, near node: NodeState, _ snapshot: Snapshot) -> Bool {
        guard let domain = node.labels[term.topologyKey] else { return false }
        return snapshot.nodes.contains { other in
            other.labels[term.topologyKey] == domain
                && other.pods.values.contains { term.matches($0, namespaceLabels: snapshot.namespaceLabels) }
        }
    }

    /// The first pod of a group that wants to be together matches only itself; it may go anywhere.
    private static func isFirstOfItsKind(
        _ demand: PodDemand, _ term: PodAffinityTerm, _ node: NodeState, _ snapshot: Snapshot
    ) -> Bool {
        guard node.labels[term.topologyKey] != nil, term.matches(demand, namespaceLabels: snapshot.namespaceLabels)
        else { return false }
        return !snapshot.nodes.contains { other in
            other.pods.values.contains { term.matches($0, namespaceLabels: snapshot.namespaceLabels) }
        }
    }

    /// Whether a pod that is already placed does not want this one in its domain.
    private static func existingRefuse(_ demand: PodDemand, _ node: NodeState, _ snapshot: Snapshot) -> Bool {
        snapshot.nodes.contains { other in
            other.pods.values.contains { existing in
                PodAffinityTerm.required("podAntiAffinity", of: existing.pod).contains { term in
                    guard let domain = other.labels[term.topologyKey], node.labels[term.topologyKey] == domain else {
                        return false
                    }
                    return term.matches(demand, namespaceLabels: snapshot.namespaceLabels)
                }
            }
        }
    }
}
