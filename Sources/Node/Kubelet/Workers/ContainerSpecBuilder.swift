// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import PodRuntime

/// Makes the runtime's description of a container from the pod's spec.
struct ContainerSpecBuilder {
    let pod: Pod
    let container: PodContainer
    let attempt: Int
    let volumes: PodVolumes
    /// The pod's directory on disk.
    let podDirectory: String
    let environment: [(name: String, value: String)]
    let seccompDirectory: String
    let nodeMemory: Int64
    let processLimit: Int64?
    /// Whether the output goes to the journal where the pod does not say.
    let logsToJournal: Bool

    /// The pod's own word on whether its output goes to the journal.
    private static let journalAnnotation = "swiftlet.io/log-to-journal"

    func build() async throws -> ContainerSpec {
        var spec = ContainerSpec(
            pod: pod.identity, name: container.name, attempt: attempt, image: container.image)
        let values = Dictionary(environment.map { ($0.name, $0.value) }) { _, last in last }
        let expand = { Expansion.expand($0) { values[$0] } }
        spec.command = container.command.map(expand)
        spec.arguments = container.arguments.map(expand)
        spec.environment = environment
        spec.workingDirectory = container.workingDirectory
        spec.security = try SecuritySettings(seccompDirectory: seccompDirectory).container(container, pod: pod)
        spec.resources = ResourceSettings.container(container, pod: pod, nodeMemory: nodeMemory)
        spec.resources.pidsLimit = processLimit
        spec.stdin = container.stdin
        spec.stdinOnce = container.stdinOnce
        spec.tty = container.tty
        spec.logsToJournal = try wantsJournal()
        spec.stopSignal = container.stopSignal
        spec.mounts = try await mounts(values)
        try addTerminationMessage(to: &spec)
        return spec
    }

    private func wantsJournal() throws -> Bool {
        guard let text = pod.object.annotations[Self.journalAnnotation] else { return logsToJournal }
        switch text {
        case "true": return true
        case "false": return false
        default:
            throw ConfigurationError(
                "the annotation \(Self.journalAnnotation) is \"\(text)\" and must be \"true\" or \"false\"")
        }
    }

    private func mounts(_ values: [String: String]) async throws -> [ContainerMount] {
        var result: [ContainerMount] = []
        for mount in container.volumeMounts {
            let name = mount["name"]?.string ?? ""
            guard let hostPath = try await volumes.hostPath(of: name) else {
                throw ConfigurationError(
                    "cannot find volume \"\(name)\" to mount into container \"\(container.name)\"")
            }
            result.append(try self.mount(mount, hostPath: hostPath, isReadOnly: volumes.isReadOnly(name), values))
        }
        let taken = Set(result.map(\.containerPath))
        if !taken.contains("/etc/hosts") {
            result.append(ContainerMount(containerPath: "/etc/hosts", hostPath: "\(podDirectory)/etc-hosts"))
        }
        // As containerd has them; the kubelet's own hosts file can always be written.
        let isReadOnly = container.securityContext["readOnlyRootFilesystem"]?.bool == true
        for name in ["resolv.conf", "hostname"] where !taken.contains("/etc/\(name)") {
            var mount = ContainerMount(containerPath: "/etc/\(name)", hostPath: "\(podDirectory)/\(name)")
            mount.isReadOnly = isReadOnly
            result.append(mount)
        }
        return result
    }

    private func mount(
        _ json: JSON, hostPath: String, isReadOnly: Bool, _ values: [String: String]
    ) throws -> ContainerMount {
        var path = json["mountPath"]?.string ?? ""
        if !path.hasPrefix("/") { path = "/\(path)" }
        var mount = ContainerMount(containerPath: path, hostPath: hostPath)
        mount.isReadOnly = isReadOnly || json["readOnly"]?.bool ?? false
        let recursive = json["recursiveReadOnly"]?.string
        mount.isRecursivelyReadOnly = mount.isReadOnly && (recursive == "Enabled" || recursive == "IfPossible")
        switch json["mountPropagation"]?.string {
        case "HostToContainer": mount.propagation = .hostToContainer
        case "Bidirectional": mount.propagation = .bidirectional
        default: mount.propagation = .none
        }
        if let expression = json["subPathExpr"]?.string, !expression.isEmpty {
            var missing: String?
            let expanded = Expansion.expand(expression) { name in
                if let value = values[name] { return value }
                missing = missing ?? name
                return nil
            }
            if let missing { throw ConfigurationError("missing value for \"\(missing)\"") }
            mount.subPath = try checkedSubPath(expanded)
        } else if let subPath = json["subPath"]?.string, !subPath.isEmpty {
            mount.subPath = try checkedSubPath(subPath)
        }
        return mount
    }

    private func checkedSubPath(_ path: String) throws -> String {
        if path.hasPrefix("/") { throw ConfigurationError("error SubPath `\(path)` must not be an absolute path") }
        if path.split(separator: "/").contains("..") {
            throw ConfigurationError("unable to provision SubPath `\(path)`: must not contain '..'")
        }
        return path
    }

    private func addTerminationMessage(to spec: inout ContainerSpec) throws {
        let directory = "\(podDirectory)/containers/\(container.name)"
        try Files.makeDirectories(directory)
        let path = "\(directory)/termination-\(attempt)"
        // Whoever the container runs as may write it (upstream: 0666).
        let file = try FileDescriptor.open(path, [.write, .create, .truncate], permissions: 0o666)
        try file.setPermissions(0o666, path)
        if attempt >= 2 { try Files.remove("\(directory)/termination-\(attempt - 2)") }
        spec.terminationMessage = (hostPath: path, containerPath: container.terminationMessagePath)
    }
}

extension Pod {
    var identity: PodIdentity { PodIdentity(uid: uid, name: name, namespace: namespace) }
}
