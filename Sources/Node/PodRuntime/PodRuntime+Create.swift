// SPDX-License-Identifier: Apache-2.0

package import ContainerImages
import JSON
import LinuxSystem
import Logging
import OCISpec
import PKI
import Synchronization

/// Creating containers.
extension PodRuntime {
    /// Makes a container of an image, ready to be started; nothing is left of one that cannot be made.
    ///
    /// - Returns: The container's ID.
    package func createContainer(_ spec: ContainerSpec, image: Image, in sandbox: Sandbox) async throws -> String {
        let id = hexadecimal(try randomBytes(count: 32))
        let config = try await images.imageConfiguration(image)
        let root = try await images.prepareRootFileSystem(image, containerID: id)
        do {
            return try await blocking {
                try self.makeContainer(id, spec, image, config, root.path, sandbox)
                return id
            }
        } catch {
            let log = configuration.logPath(spec.pod, container: spec.name, attempt: spec.attempt)
            await unconditionally {
                await self.discard(id)
                await self.removeLog(at: log, link: nil)
            }
            throw error
        }
    }

    /// Removes what a failed creation left.
    func discard(_ id: String) async {
        state.withLock { state in
            state.records[id] = nil
            state.unwritten.remove(id)
        }
        do {
            try await blocking {
                try self.recordFiles.withLock { _ in
                    try Files.removeTree(self.configuration.containerDirectory(id))
                }
            }
            try await images.removeRootFileSystem(containerID: id)
        } catch {
            logger.warning(
                "What is left of a container could not be removed",
                metadata: ["container-id": "\(id)", "error": "\(error)"])
        }
    }

    private func makeContainer(
        _ id: String, _ spec: ContainerSpec, _ image: Image, _ config: ImageConfig, _ root: String, _ sandbox: Sandbox
    ) throws {
        let directory = configuration.containerDirectory(id)
        try Files.makeDirectories(directory, permissions: 0o711)
        let execution = config.config ?? ImageConfig.Execution()
        let subject = "pod: \"\(spec.pod.name)_\(spec.pod.namespace)(\(spec.pod.uid))\", container: \(spec.name)"
        let user = try ResolvedUser(
            imageUser: execution.user ?? "", spec.security, rootFileSystem: root, subject: subject)
        // The descriptors keep the resolved places until the launcher has mounted them.
        let mounts = try MountResolver(mounts: spec.mounts, message: spec.terminationMessage)
        let builder = RuntimeSpecBuilder(
            container: spec, image: execution, user: user, sandbox: sandbox, rootfs: root,
            cgroupPath: "\(sandbox.cgroupPath)/\(id)", mounts: mounts.mounts,
            joinedProcesses: try joinedProcesses(spec, sandbox),
            hostDevices: spec.security.isPrivileged ? try HostDevices.list() : [],
            canKillTogether: cgroups.canKillTogether, hasResourceCapability: hasResourceCapability)
        let runtimeSpec = try builder.build()
        try Files.replace("\(directory)/config.json", with: runtimeSpec.serialized(), durable: false)
        let record = try makeRecord(id, spec, image, config, sandbox, user)
        try write(record)
        try launch(record, spec, in: sandbox)
        state.withLock { $0.records[id] = record }
        mounts.close()
        try subscribe(record)
    }

    private func joinedProcesses(_ spec: ContainerSpec, _ sandbox: Sandbox) throws -> String? {
        switch sandbox.processNamespace {
        case .host: nil
        case .shared: try sharedProcesses(of: sandbox)
        case .container: try spec.processTarget.map(processNamespace)
        }
    }

    /// The PID namespace of a running container, as a file that the launcher joins.
    private func processNamespace(of target: String) throws -> String {
        guard let record = record(target), record.exit == nil, let process = try firstProcess(of: record) else {
            throw RuntimeError(.create, "", "invalid target container: container \"\(target)\" is not running")
        }
        return "/proc/\(process)/ns/pid"
    }

    private func makeRecord(
        _ id: String, _ spec: ContainerSpec, _ image: Image, _ config: ImageConfig, _ sandbox: Sandbox,
        _ user: ResolvedUser
    ) throws -> ContainerRecord {
        let log = configuration.logPath(spec.pod, container: spec.name, attempt: spec.attempt)
        try Files.makeDirectories(Files.directory(of: log))
        let signal = spec.stopSignal.flatMap { ImageConfig.signalNumber($0) } ?? config.stopSignalNumber
        return ContainerRecord(
            id: id, pod: spec.pod, name: spec.name, attempt: spec.attempt, image: shownImage(spec.image, image),
            imageID: image.reference, logPath: log, cgroupPath: "\(sandbox.cgroupPath)/\(id)", startedAt: 0,
            stopSignal: signal, tty: spec.tty, stdin: spec.stdin, user: user.uid, group: user.gid,
            terminationMessagePath: spec.terminationMessage?.hostPath, exit: nil, supplementaryGroups: user.groups,
            limits: spec.resources.limits, requestedImage: spec.image)
    }

    /// The name that the status shows: the image's full one for what the pod asked for.
    private func shownImage(_ wanted: String, _ image: Image) -> String {
        // The pod's own name was parsed before the image was found by it.
        guard let reference = try? ImageReference(parsing: wanted) else { return wanted }
        let full = reference.digest == nil ? reference.withDefaultTag.description : reference.description
        return image.names.contains(full) || image.digests.contains(full) ? full : image.names.first ?? wanted
    }

    func recordFile(_ id: String) -> String { "\(configuration.containerDirectory(id))/record.json" }

    func write(_ record: ContainerRecord) throws {
        try Files.replace(recordFile(record.id), with: record.json.serialized(), durable: false)
    }

    /// Brings what is known of a container to disk. Where that fails it is tried again while the runtime runs: memory has
    /// it, and nothing that happened to a container is undone for the want of a note.
    func keep(_ id: String) {
        do {
            try recordFiles.withLock { _ in
                // One that was removed meanwhile needs no record.
                if let record = record(id) { try write(record) }
            }
            state.withLock { _ = $0.unwritten.remove(id) }
        } catch {
            state.withLock { state in
                if state.records[id] != nil { state.unwritten.insert(id) }
            }
            logger.warning(
                "What happened to a container could not be written down",
                metadata: ["container-id": "\(id)", "error": "\(error)"])
        }
    }

    /// `/var/log/containers/<pod>_<namespace>_<container>-<id>.log`, where log shippers look.
    func logLink(_ record: ContainerRecord) -> String {
        let name = "\(record.pod.name)_\(record.pod.namespace)_\(record.name)-\(record.id)"
        return "\(configuration.containerLogDirectory)/\(name).log"
    }
}
