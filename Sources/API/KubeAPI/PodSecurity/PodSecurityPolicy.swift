// SPDX-License-Identifier: Apache-2.0

/// How much a pod may do, from everything to what every workload can live with (the Pod Security Standards).
package enum PodSecurityLevel: String, Sendable, CaseIterable, Comparable {
    case privileged
    case baseline
    case restricted

    package static func < (left: Self, right: Self) -> Bool { left.strictness < right.strictness }

    private var strictness: Int {
        switch self {
        case .privileged: 0
        case .baseline: 1
        case .restricted: 2
        }
    }
}

/// A level as a release of Kubernetes understands it: `restricted:v1.25`, `baseline:latest`.
package struct PodSecurityStandard: Hashable, Sendable, CustomStringConvertible {
    package var level: PodSecurityLevel
    /// The minor version, nil for the latest.
    package var minor: Int?

    package init(_ level: PodSecurityLevel, minor: Int? = nil) {
        self.level = level
        self.minor = minor
    }

    package var description: String { "\(level.rawValue):\(minor.map { "v1.\($0)" } ?? "latest")" }

    /// Whether what came with a minor version is part of it.
    func includes(_ version: Int) -> Bool { minor.map { $0 >= version } ?? true }
}

/// What the labels `pod-security.kubernetes.io/*` of a namespace ask for (`k8s.io/pod-security-admission/api`).
package struct PodSecurityPolicy: Hashable, Sendable {
    /// What violates it is refused.
    package private(set) var enforce = PodSecurityStandard(.privileged)
    /// What violates it would be noted in an audit log.
    package private(set) var audit = PodSecurityStandard(.privileged)
    /// What violates it is warned of.
    package private(set) var warn = PodSecurityStandard(.privileged)
    /// What is wrong with the labels. What they say counts as `restricted` where it is enforced, and not at all elsewhere.
    package private(set) var problems: [Problem] = []

    /// A label that cannot be understood.
    package struct Problem: Hashable, Sendable {
        package let label: String
        package let value: String
        package let message: String
    }

    package static let prefix = "pod-security.kubernetes.io/"

    package init(labels: [String: String]) {
        guard labels.keys.contains(where: { $0.hasPrefix(Self.prefix) }) else { return }
        read(\.enforce, "enforce", otherwise: .restricted, labels)
        read(\.audit, "audit", otherwise: .privileged, labels)
        read(\.warn, "warn", otherwise: .privileged, labels)
    }

    private mutating func read(
        _ mode: WritableKeyPath<Self, PodSecurityStandard>, _ name: String, otherwise fallback: PodSecurityLevel,
        _ labels: [String: String]
    ) {
        let label = Self.prefix + name
        if let value = labels[label] {
            let level = PodSecurityLevel(rawValue: value)
            self[keyPath: mode].level = level ?? fallback
            if level == nil {
                let known = PodSecurityLevel.allCases.map(\.rawValue).joined(separator: ", ")
                problems.append(.init(label: label, value: value, message: "must be one of \(known)"))
            }
        }
        if let value = labels[label + "-version"], value != "latest" {
            self[keyPath: mode].minor = Self.minor(of: value)
            if self[keyPath: mode].minor == nil {
                problems.append(
                    .init(label: label + "-version", value: value, message: "must be \"latest\" or \"v1.x\""))
            }
        }
    }

    /// The number in `v1.25`; nil for what is none.
    private static func minor(of version: String) -> Int? {
        guard version.hasPrefix("v1.") else { return nil }
        let digits = version.dropFirst(3)
        guard digits.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), digits == "0" || digits.first != "0" else { return nil }
        return Int(digits)
    }
}
