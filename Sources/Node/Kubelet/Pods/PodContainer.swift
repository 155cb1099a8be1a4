// SPDX-License-Identifier: Apache-2.0

package import JSON

/// One container of a pod's spec.
package struct PodContainer: Hashable, Sendable {
    /// What part it plays in the pod's life.
    package enum Kind: Sendable, Hashable {
        /// Runs to completion before the next one starts.
        case initial
        /// An init container with restartPolicy Always: runs beside the main containers, is stopped after them.
        case sidecar
        case main
        /// Put into a running pod to debug it: started once, and nothing of the pod depends on it.
        case ephemeral
    }

    package let json: JSON
    package let kind: Kind
    package let name: String
    package let restartPolicy: RestartPolicy

    package init(_ json: JSON, kind: Kind, podPolicy: RestartPolicy) {
        self.json = json
        self.kind = kind
        name = json["name"]?.string ?? ""
        let own = RestartPolicy(rawValue: json["restartPolicy"]?.string ?? "")
        switch kind {
        case .sidecar: restartPolicy = .always
        // An init container of an Always pod is retried only while it fails.
        case .initial: restartPolicy = own ?? (podPolicy == .never ? .never : .onFailure)
        case .main: restartPolicy = own ?? podPolicy
        case .ephemeral: restartPolicy = .never
        }
    }

    package var image: String { json["image"]?.string ?? "" }
    package var command: [String] { json["command"]?.elements.compactMap(\.string) ?? [] }
    package var arguments: [String] { json["args"]?.elements.compactMap(\.string) ?? [] }
    package var workingDirectory: String { json["workingDir"]?.string ?? "" }
    package var environment: [JSON] { json["env"]?.elements ?? [] }
    package var environmentSources: [JSON] { json["envFrom"]?.elements ?? [] }
    package var ports: [JSON] { json["ports"]?.elements ?? [] }
    package var resources: JSON { json["resources"] ?? .object([:]) }
    package var volumeMounts: [JSON] { json["volumeMounts"]?.elements ?? [] }
    package var securityContext: JSON { json["securityContext"] ?? .null }
    package var terminationMessagePath: String { json["terminationMessagePath"]?.string ?? "/dev/termination-log" }
    package var fallsBackToLogs: Bool { json["terminationMessagePolicy"]?.string == "FallbackToLogsOnError" }
    /// The container whose processes an ephemeral container sees; nil for its own only.
    package var targetName: String? {
        json["targetContainerName"]?.string.flatMap { $0.isEmpty ? nil : $0 }
    }
    package var stdin: Bool { json["stdin"]?.bool ?? false }
    package var stdinOnce: Bool { json["stdinOnce"]?.bool ?? false }
    package var tty: Bool { json["tty"]?.bool ?? false }
    package var startupProbe: JSON? { json["startupProbe"] }
    package var livenessProbe: JSON? { json["livenessProbe"] }
    package var readinessProbe: JSON? { json["readinessProbe"] }
    package var postStart: JSON? { json["lifecycle"]?["postStart"] }
    package var preStop: JSON? { json["lifecycle"]?["preStop"] }
    package var stopSignal: String? { json["lifecycle"]?["stopSignal"]?.string }

    /// `Always`, `IfNotPresent` or `Never`; where it is missing, Always for the tag `latest`.
    package var imagePullPolicy: String {
        if let policy = json["imagePullPolicy"]?.string { return policy }
        let last = image.split(separator: "/").last ?? ""
        if last.contains("@") { return "IfNotPresent" }
        guard let tag = last.split(separator: ":").dropFirst().last else { return "Always" }
        return tag == "latest" ? "Always" : "IfNotPresent"
    }

    /// Whether the container starts again after an exit with that code, by its rules and policy (KEP-5307).
    package func restarts(afterExit code: Int) -> Bool {
        for rule in json["restartPolicyRules"]?.elements ?? [] {
            guard rule["action"]?.string == "Restart", let exitCodes = rule["exitCodes"] else { continue }
            let listed = (exitCodes["values"]?.elements ?? []).contains { $0.int == code }
            if listed == (exitCodes["operator"]?.string == "In") { return true }
        }
        switch restartPolicy {
        case .always: return true
        case .onFailure: return code != 0
        case .never: return false
        }
    }
}
