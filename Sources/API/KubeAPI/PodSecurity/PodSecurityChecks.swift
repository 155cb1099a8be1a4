// SPDX-License-Identifier: Apache-2.0

package import JSON

/// What a pod does that a standard does not allow.
package struct PodSecurityViolation: Hashable, Sendable {
    /// `allowPrivilegeEscalation != false`
    package let reason: String
    /// `container "web" must set securityContext.allowPrivilegeEscalation=false`
    package let detail: String
}

extension PodSecurityViolation {
    /// Violations as users are told of them: each reason with its detail in parentheses.
    package static func text(_ violations: [Self]) -> String {
        violations.map { "\($0.reason) (\($0.detail))" }.joined(separator: ", ")
    }
}

/// The checks of the Pod Security Standards (`k8s.io/pod-security-admission/policy`).
package enum PodSecurityChecks {
    /// What of a pod, or of a pod template, violates a standard; upstream's checks in upstream's order.
    ///
    /// - Parameter pod: `metadata` and `spec`.
    package static func violations(of pod: JSON, _ standard: PodSecurityStandard) -> [PodSecurityViolation] {
        guard standard.level > .privileged else { return [] }
        let subject = PodSecuritySubject(pod, standard)
        var found: [PodSecurityViolation?] = [
            subject.appArmor(), standard.level == .baseline ? subject.addedCapabilities() : nil,
            subject.hostNamespaces(), standard.level == .baseline ? subject.hostPaths() : nil, subject.hostPorts(),
            subject.handlerHosts(), subject.privileged(), subject.procMount(), subject.seLinux(),
            standard.level == .baseline || !standard.includes(19) ? subject.seccomp() : nil, subject.sysctls(),
            subject.windowsHostProcess(),
        ]
        if standard.level == .restricted {
            found += [
                subject.privilegeEscalation(),
                standard.includes(22) ? subject.keptCapabilities() : subject.addedCapabilities(),
                subject.volumeTypes(), subject.rootAllowed(), subject.rootUser(), subject.missingSeccomp(),
            ]
        }
        return found.compactMap { $0 }
    }
}

/// A pod as the checks look at it.
struct PodSecuritySubject {
    let standard: PodSecurityStandard
    let spec: JSON
    let annotations: [(name: String, value: String)]
    /// Containers of all kinds, in upstream's order.
    let containers: [JSON]

    init(_ pod: JSON, _ standard: PodSecurityStandard) {
        self.standard = standard
        spec = pod["spec"] ?? [:]
        annotations = (pod["metadata"]?["annotations"]?.object ?? [:]).compactMap { name, value in
            value.string.map { (name, $0) }
        }
        containers = ["initContainers", "containers", "ephemeralContainers"].flatMap { [spec] in spec.list($0) }
    }

    var podContext: JSON? { spec.value("securityContext") }

    static func context(_ container: JSON) -> JSON? { container.value("securityContext") }

    /// Whether root in the pod is nobody outside (KEP-127).
    var hasOwnUsers: Bool { standard.includes(35) && spec["hostUsers"]?.bool == false }

    var isWindows: Bool { standard.includes(25) && spec["os"]?["name"]?.string == "windows" }

    /// The names of the containers that a condition holds for.
    func names(where condition: (JSON) -> Bool) -> [String] {
        containers.filter(condition).map { $0.text("name") }
    }

    // MARK: Words

    static func quoted(_ texts: [String]) -> String { texts.map { "\"\($0)\"" }.joined(separator: ", ") }

    static func plural(_ word: String, _ count: Int) -> String { count == 1 ? word : word + "s" }

    /// `container "a"`, `containers "a", "b"`
    static func listed(_ word: String, _ names: [String]) -> String {
        "\(plural(word, names.count)) \(quoted(names))"
    }

    /// `pod and container "a"`; nil for nobody.
    static func setters(pod: Bool, _ names: [String]) -> String? {
        let parts = (pod ? ["pod"] : []) + (names.isEmpty ? [] : [listed("container", names)])
        return parts.isEmpty ? nil : parts.joined(separator: " and ")
    }

    /// Who sets a member of the security context to what must not be, and to what: a finding that names them.
    ///
    /// - Parameter value: what a security context sets, nil where that is nothing or may be.
    func badValues(_ value: (JSON) -> String?) -> (setters: String, values: [String])? {
        let ofPod = podContext.flatMap(value)
        let ofContainers = containers.compactMap { container in
            Self.context(container).flatMap(value).map { (name: container.text("name"), value: $0) }
        }
        guard let setters = Self.setters(pod: ofPod != nil, ofContainers.map(\.name)) else { return nil }
        let values = Set(ofContainers.map(\.value) + (ofPod.map { [$0] } ?? []))
        return (setters, values.sorted())
    }
}
