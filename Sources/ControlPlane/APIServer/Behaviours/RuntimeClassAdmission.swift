// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Gives pods what their runtime class costs and where it runs (upstream: `plugin/pkg/admission/runtimeclass`).
enum RuntimeClassAdmission {
    private static let classes = GroupVersionResource("node.k8s.io", "v1", "runtimeclasses")

    static func admit(_ change: Change, _ pod: inout KubeObject) throws(StatusError) {
        var chosen: KubeObject?
        if let name = pod.spec["runtimeClassName"]?.string {
            chosen = change.registry.cachedObject(classes, "", name)
            guard chosen != nil else {
                throw change.forbidden(pod.name, "pod rejected: RuntimeClass \"\(name)\" not found")
            }
        }
        try setOverhead(change, &pod, chosen?.json["overhead"])
        guard let scheduling = chosen?.json["scheduling"] else { return }
        try mergeNodeSelector(change, &pod, scheduling["nodeSelector"])
        let tolerations = merged(pod.spec["tolerations"]?.elements ?? [], scheduling["tolerations"]?.elements ?? [])
        pod.json["spec", "tolerations"] = tolerations.isEmpty ? nil : .array(tolerations)
    }

    private static func setOverhead(
        _ change: Change, _ pod: inout KubeObject, _ overhead: JSON?
    ) throws(StatusError) {
        let given = amounts(pod.spec["overhead"])
        guard let overhead, overhead != .null else {
            guard given.isEmpty else {
                throw change.forbidden(
                    pod.name,
                    "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
            }
            return
        }
        let fixed = amounts(overhead["podFixed"])
        guard given.isEmpty || given == fixed else {
            throw change.forbidden(
                pod.name, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        }
        pod.json["spec", "overhead"] = fixed.isEmpty ? nil : overhead["podFixed"]
    }

    /// The amounts of a list of resources, which are the same however they are written.
    private static func amounts(_ list: JSON?) -> [String: Quantity] {
        var result: [String: Quantity] = [:]
        for (name, amount) in list?.members ?? [:] { result[name] = Quantity(amount) }
        return result
    }

    private static func mergeNodeSelector(
        _ change: Change, _ pod: inout KubeObject, _ wanted: JSON?
    ) throws(StatusError) {
        guard let labels = wanted?.members, !labels.isEmpty else { return }
        var selector = pod.spec["nodeSelector"] ?? .object([:])
        for (key, value) in labels.sorted(by: { $0.key < $1.key }) {
            if let own = selector[key], own != value {
                throw change.forbidden(
                    pod.name,
                    "conflict: runtimeClass.scheduling.nodeSelector[\(key)] = \(value.string ?? ""); "
                        + "pod.spec.nodeSelector[\(key)] = \(own.string ?? "")")
            }
            selector[key] = value
        }
        pod.json["spec", "nodeSelector"] = selector
    }

    // MARK: Tolerations

    /// Both lists without what another toleration of them covers (upstream: `pkg/util/tolerations`).
    private static func merged(_ first: [JSON], _ second: [JSON]) -> [JSON] {
        let all = first + second
        var result: [JSON] = []
        for (index, toleration) in all.enumerated() {
            let isCovered =
                result.contains { covers($0, toleration) }
                || all[(index + 1)...].contains { $0 != toleration && covers($0, toleration) }
            if !isCovered { result.append(toleration) }
        }
        return result
    }

    /// Whether whatever `other` tolerates, `one` tolerates too.
    private static func covers(_ one: JSON, _ other: JSON) -> Bool {
        if one == other { return true }
        func text(_ toleration: JSON, _ field: String) -> String { toleration[field]?.string ?? "" }
        let kind = text(one, "operator")
        if text(one, "key") != text(other, "key"), !text(one, "key").isEmpty || kind != "Exists" { return false }
        let effect = text(one, "effect")
        if !effect.isEmpty, effect != text(other, "effect") { return false }
        if effect == "NoExecute", let seconds = one["tolerationSeconds"]?.int {
            guard let others = other["tolerationSeconds"]?.int, others <= seconds else { return false }
        }
        switch kind {
        case "Exists": return true
        case "", "Equal": return text(other, "operator") == "Equal" && text(one, "value") == text(other, "value")
        default: return false
        }
    }
}
