// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Monitor
import OCISpec
import PKI
import Synchronization

/// One PID namespace for the containers of a pod (`shareProcessNamespace`).
///
/// Such a namespace lasts as long as its first process, so this kind of sandbox has one: a container without an image,
/// with a monitor as any other, in which ``PauseProgram`` runs. It is started with the pod's first container and ends
/// with the sandbox.
extension PodRuntime {
    /// What the record of the holder of a pod's processes is called; no container can be.
    static let holderName = "POD"
    /// User and group of the holder, which needs no rights; upstream's pause image has the same.
    private static let holderUser: UInt32 = 65_535

    /// The PID namespace that the containers of a sandbox share, as a file that the launcher joins.
    ///
    /// A holder that was killed took all processes of the pod with it; the next container gets a new one.
    func sharedProcesses(of sandbox: Sandbox) throws -> String {
        let process = try holderStart.withLock { _ in
            try firstProcess(of: runningHolder(of: sandbox.pod.uid) ?? startHolder(of: sandbox))
        }
        guard let process else {
            throw RuntimeError(.create, "share the process namespace", "its first process has no number")
        }
        return "/proc/\(process)/ns/pid"
    }

    private func runningHolder(of podUID: String) -> ContainerRecord? {
        everyRecord(of: podUID).first {
            // One that an agent that died had not started yet reaps nobody.
            $0.name == Self.holderName && $0.exit == nil && $0.startedAt > 0
        }
    }

    private func startHolder(of sandbox: Sandbox) throws -> ContainerRecord {
        let id = hexadecimal(try randomBytes(count: 32))
        let directory = configuration.containerDirectory(id)
        do {
            return try startHolder(id, directory, sandbox)
        } catch {
            state.withLock { _ = $0.records.removeValue(forKey: id) }
            do {
                try runLauncher(["delete", "--force", id], .other, "delete the pod's first process")
                try Files.removeTree(directory)
            } catch {
                logger.warning(
                    "What is left of a pod's first process could not be removed",
                    metadata: ["container-id": "\(id)", "error": "\(error)"])
            }
            throw error
        }
    }

    private func startHolder(_ id: String, _ directory: String, _ sandbox: Sandbox) throws -> ContainerRecord {
        let root = "\(directory)/root"
        try Files.makeDirectories(directory, permissions: 0o711)
        try Files.makeDirectories(root)
        let spec = holderSpec(sandbox.pod)
        let mounts = try MountResolver(mounts: spec.mounts, message: nil)
        defer { mounts.close() }
        var own = sandbox
        own.processNamespace = .container
        let runtimeSpec = try RuntimeSpecBuilder(
            container: spec, image: .init(), user: ResolvedUser(uid: Self.holderUser, gid: Self.holderUser),
            sandbox: own, rootfs: root, cgroupPath: "\(sandbox.cgroupPath)/\(id)", mounts: mounts.mounts,
            hasResourceCapability: hasResourceCapability
        ).build()
        try Files.replace("\(directory)/config.json", with: runtimeSpec.serialized(), durable: false)
        var record = ContainerRecord(
            id: id, pod: sandbox.pod, name: Self.holderName, attempt: 0, image: "", imageID: "",
            logPath: "\(directory)/log", cgroupPath: "\(sandbox.cgroupPath)/\(id)", startedAt: 0,
            stopSignal: Signals.kill, tty: false, stdin: false, user: Self.holderUser, group: Self.holderUser,
            terminationMessagePath: nil, exit: nil)
        try write(record)
        try launch(record, spec, in: sandbox)
        try startProgram(record)
        record.startedAt = FileTime.now().seconds
        try write(record)
        let started = record
        state.withLock { $0.records[id] = started }
        try subscribe(started)
        return started
    }

    private func holderSpec(_ pod: PodIdentity) -> ContainerSpec {
        var spec = ContainerSpec(pod: pod, name: Self.holderName, attempt: 0, image: "")
        spec.command = [PauseProgram.path]
        spec.mounts = [
            ContainerMount(containerPath: PauseProgram.path, hostPath: configuration.launcher, isReadOnly: true)
        ]
        // Containers that may look into others' processes must find nothing of the host's in it.
        spec.security.capabilitiesDropped = ["ALL"]
        spec.security.allowsPrivilegeEscalation = false
        spec.security.hasReadOnlyRoot = true
        spec.security.seccomp = .runtimeDefault
        // As upstream's: with it the whole pod would go.
        spec.resources.oomScoreAdjustment = -998
        spec.resources.cpuShares = 2
        return spec
    }
}
