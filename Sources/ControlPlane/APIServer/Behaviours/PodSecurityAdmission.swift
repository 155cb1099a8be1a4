// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Holds pods to the Pod Security Standards that their namespace asks for by its labels
/// (upstream: `k8s.io/pod-security-admission`, whose plug-in is on by default, without configuration of its own).
///
/// There is no audit log, so that the label `audit` is checked and has no other effect.
enum PodSecurityAdmission {
    private static let namespaces = GroupVersionResource("", "v1", "namespaces")
    private static let pods = GroupVersionResource("", "v1", "pods")
    /// So many pods of a namespace are looked at when its label changes.
    private static let mostPods = 3000
    /// Subresources of pods that do not change what the pod may do.
    private static let harmless: Set<String> = ["binding", "eviction", "status"]

    /// Where the pod template of other kinds is.
    private static let templates: [String: [String]] = [
        "replicationcontrollers": ["spec", "template"], "podtemplates": ["template"],
        "replicasets": ["spec", "template"], "deployments": ["spec", "template"],
        "statefulsets": ["spec", "template"], "daemonsets": ["spec", "template"], "jobs": ["spec", "template"],
        "cronjobs": ["spec", "jobTemplate", "spec", "template"],
    ]

    /// Looks at an object that is valid otherwise and about to be stored.
    ///
    /// - Throws: `Forbidden` for a pod that its namespace does not allow, `Invalid` for a namespace with labels that mean
    ///   nothing.
    static func check(_ change: Change, _ object: KubeObject) throws(StatusError) {
        switch change.resource.resource {
        case "namespaces" where change.subresource.isEmpty: try checkLabels(change, object)
        case "pods" where !harmless.contains(change.subresource): try checkPod(change, object)
        case let kind where change.subresource.isEmpty && !change.isTrusted:
            guard let path = templates[kind] else { return }
            warn(change, template: path.reduce(object.json) { $0?[$1] }, in: object.namespace)
        default: break
        }
    }

    // MARK: Pods

    private static func policy(of namespace: String, _ change: Change) -> PodSecurityPolicy? {
        guard let labels = change.registry.cachedObject(namespaces, "", namespace)?.labels else { return nil }
        return PodSecurityPolicy(labels: labels)
    }

    private static func checkPod(_ change: Change, _ pod: KubeObject) throws(StatusError) {
        guard let policy = policy(of: pod.namespace, change) else { return }
        if let old = change.old, !isSignificant(pod, old) { return }
        let enforced = PodSecurityChecks.violations(of: pod.json, policy.enforce)
        guard enforced.isEmpty else {
            throw change.forbidden(
                pod.name, "violates PodSecurity \"\(policy.enforce)\": \(PodSecurityViolation.text(enforced))")
        }
        // Its creator has been told by the template; nobody reads what the agent is told.
        // What is enforced has just been found to hold.
        if !change.isTrusted, policy.warn != policy.enforce { warn(change, of: pod.json, policy.warn) }
    }

    private static func warn(_ change: Change, template: JSON?, in namespace: String) {
        guard let template, let policy = policy(of: namespace, change) else { return }
        warn(change, of: template, policy.warn)
    }

    private static func warn(_ change: Change, of pod: JSON, _ standard: PodSecurityStandard) {
        let violations = PodSecurityChecks.violations(of: pod, standard)
        if violations.isEmpty { return }
        change.warnings.add("would violate PodSecurity \"\(standard)\": \(PodSecurityViolation.text(violations))")
    }

    /// Whether an update concerns what the standards are about: images, debug containers, old annotations.
    private static func isSignificant(_ pod: KubeObject, _ old: KubeObject) -> Bool {
        func relevant(_ pod: KubeObject) -> [[String]] {
            let containers = ["containers", "initContainers", "ephemeralContainers"].map { list in
                pod.spec[list]?.elements.map { "\($0["name"]?.string ?? "") \($0["image"]?.string ?? "")" } ?? []
            }
            let annotations = pod.annotations.filter { $0.key.contains("seccomp.security.alpha.kubernetes.io/") }
            return containers + [annotations.map { "\($0.key)=\($0.value)" }.sorted()]
        }
        return relevant(pod) != relevant(old)
    }

    // MARK: Namespaces

    private static func checkLabels(_ change: Change, _ namespace: KubeObject) throws(StatusError) {
        let policy = PodSecurityPolicy(labels: namespace.labels)
        let old = change.old.map { PodSecurityPolicy(labels: $0.labels) }
        if !policy.problems.isEmpty, policy.problems != old?.problems {
            let causes = policy.problems.map { problem in
                StatusError.Cause(
                    reason: "FieldValueInvalid",
                    message: "Invalid value: \(JSON.string(problem.value).text()): \(problem.message)",
                    field: "metadata.labels[\(problem.label)]")
            }
            throw SchemaRules.invalid(change.served.kind, name: namespace.name, causes)
        }
        guard let old, policy.enforce != old.enforce, policy.enforce.level > .privileged,
            policy.enforce.minor != old.enforce.minor || policy.enforce.level > old.enforce.level
        else { return }
        warn(change, ofPodsIn: namespace.name, policy.enforce)
    }

    /// Tells who tightens a namespace which of its pods would not be let in any more.
    private static func warn(_ change: Change, ofPodsIn namespace: String, _ standard: PodSecurityStandard) {
        let all = change.registry.cachedObjects(pods, namespace)
        var names: [String: [String]] = [:]
        for pod in all.prefix(mostPods) {
            let violations = PodSecurityChecks.violations(of: pod.json, standard)
            if violations.isEmpty { continue }
            names[violations.map(\.reason).joined(separator: ", "), default: []].append(pod.name)
        }
        if all.count > mostPods {
            change.warnings.add(
                "new PodSecurity enforce level only checked against the first \(mostPods) of \(all.count) existing pods"
            )
        }
        guard !names.isEmpty else { return }
        change.warnings.add(
            "existing pods in namespace \"\(namespace)\" violate the new PodSecurity enforce level \"\(standard)\"")
        let lines = names.map { reasons, pods in
            let others = pods.count - 1
            let more = others == 0 ? "" : " (and \(others) other \(others == 1 ? "pod" : "pods"))"
            return "\(pods.min() ?? "")\(more): \(reasons)"
        }
        for line in lines.sorted() { change.warnings.add(line) }
    }
}
