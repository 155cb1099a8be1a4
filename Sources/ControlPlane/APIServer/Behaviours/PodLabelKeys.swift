// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// `matchLabelKeys` and `mismatchLabelKeys` of a pod's affinities and spread constraints: the pod's own values of these
/// labels become part of the selectors when it is made (upstream: `mutatePodAffinity` and
/// `mutateTopologySpreadConstraints` in `registry/core/pod/strategy.go`).
enum PodLabelKeys {
    static func merge(into pod: inout KubeObject) {
        let labels = pod.labels
        for kind in ["podAffinity", "podAntiAffinity"] {
            change("requiredDuringSchedulingIgnoredDuringExecution", of: kind, in: &pod) { merge(into: &$0, labels) }
            change("preferredDuringSchedulingIgnoredDuringExecution", of: kind, in: &pod) { preferred in
                guard var term = preferred["podAffinityTerm"] else { return }
                merge(into: &term, labels)
                preferred["podAffinityTerm"] = term
            }
        }
        guard let constraints = pod.spec["topologySpreadConstraints"]?.array else { return }
        pod.json["spec", "topologySpreadConstraints"] = .array(
            constraints.map {
                var constraint = $0
                merge(into: &constraint, labels)
                return constraint
            })
    }

    private static func change(
        _ list: String, of kind: String, in pod: inout KubeObject, _ body: (inout JSON) -> Void
    ) {
        guard var terms = pod.spec["affinity"]?[kind]?[list]?.array else { return }
        for index in terms.indices { body(&terms[index]) }
        pod.json["spec", "affinity", kind, list] = .array(terms)
    }

    /// Nothing is merged where there is no selector, as that selects nothing.
    private static func merge(into term: inout JSON, _ labels: [String: String]) {
        guard let selector = term["labelSelector"], !selector.isNull else { return }
        var expressions = selector["matchExpressions"]?.elements ?? []
        let count = expressions.count
        for (list, comparison) in [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")] {
            for key in term[list]?.elements.compactMap(\.string) ?? [] {
                guard let value = labels[key] else { continue }
                expressions.append([
                    "key": .string(key), "operator": .string(comparison), "values": [.string(value)],
                ])
            }
        }
        if expressions.count > count { term["labelSelector", "matchExpressions"] = .array(expressions) }
    }
}
