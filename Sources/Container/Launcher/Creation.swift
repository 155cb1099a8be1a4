// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// What `create` and `run` are told beside the container's name.
struct CreateOptions {
    var bundle = "."
    var pidFile: String?
    /// The path of the socket that gets the terminal's master.
    var consoleSocket: String?
    var pivotsRoot = true
    var hasOwnKeyring = true
    var preservedDescriptors = 0
}

/// The making of one container, seen from the launcher.
struct Creation {
    let launcher: ContainerLauncher
    let id: String
    let options: CreateOptions
    /// The connected console socket; nil without a terminal.
    let consoleSocket: CInt?

    private var log: Log { launcher.log }
    private var store: StateStore { launcher.store }

    /// Creates the container. What was made is taken back if anything fails.
    ///
    /// - Parameter channel: gets the launcher's end of the conversation, for a launcher that starts the container
    ///   itself; nil makes the container wait for `start`.
    func create(startsItself: Bool, channel: inout CInt?) throws(LauncherError) -> ContainerRecord {
        let bundle = try attempting("finding the bundle") { try Files.resolved(options.bundle) }
        let bytes: [UInt8]
        let spec: RuntimeSpec
        do {
            bytes = try Files.read("\(bundle)/config.json")
            spec = try RuntimeSpec(parsing: bytes)
        } catch {
            throw LauncherError("reading \(bundle)/config.json", error)
        }
        let process = try Self.validate(spec)
        let rootfs = try Self.rootPath(spec, bundle: bundle)
        try store.reserve(id)
        var record = ContainerRecord(
            id: id, bundle: bundle, rootfs: rootfs, created: FileTime.now().rfc3339,
            owner: Processes.effectiveUserID)
        record.ociVersion = spec.ociVersion
        record.annotations = spec.annotations
        var pid: Int32?
        do {
            try store.saveConfig(bytes, of: id)
            let cgroups = try launcher.cgroups()
            if let cgroups { record.cgroup = try CgroupPlan.group(for: spec, id: id, cgroups: cgroups) }
            try store.save(record)
            if let cgroups, let group = record.cgroup { try makeCgroup(group, spec, cgroups) }
            try start(
                spec, process, &record, cgroups: cgroups, pid: &pid, startsItself: startsItself, channel: &channel)
            return record
        } catch {
            undo(record, pid: pid)
            throw error
        }
    }

    /// Takes back what a failed creation made; what cannot be taken back stays for `delete --force`.
    private func undo(_ record: ContainerRecord, pid: Int32?) {
        do {
            if let pid {
                try? Processes.kill(pid, Signals.kill)
                _ = try? Processes.wait(for: pid)
            }
            if let group = record.cgroup, let cgroups = try launcher.cgroups() {
                try attempting("removing cgroup \(group)") { try cgroups.remove(group) }
            }
            try store.remove(id)
        } catch {
            log.warn("cleaning up: \(error)")
        }
    }

    private static func validate(_ spec: RuntimeSpec) throws(LauncherError) -> RuntimeSpec.Process {
        guard let process = spec.process else { throw LauncherError("config.json: process is required") }
        guard !process.args.isEmpty else { throw LauncherError("config.json: process.args must not be empty") }
        guard process.cwd.hasPrefix("/") else {
            throw LauncherError("config.json: process.cwd must be an absolute path, not \"\(process.cwd)\"")
        }
        guard spec.ociVersion.hasPrefix("1.") else {
            throw LauncherError("config.json: ociVersion \(spec.ociVersion) is not supported, only 1.x")
        }
        return process
    }

    private static func rootPath(_ spec: RuntimeSpec, bundle: String) throws(LauncherError) -> String {
        guard let root = spec.root, !root.path.isEmpty else { throw LauncherError("config.json: root is required") }
        let path = root.path.hasPrefix("/") ? root.path : "\(bundle)/\(root.path)"
        do {
            let resolved = try Files.resolved(path)
            guard try Files.status(resolved)?.kind == .directory else {
                throw SystemError("open", path, errno: Errno.ENOTDIR)
            }
            return resolved
        } catch {
            throw LauncherError("finding the root file system", error)
        }
    }

    private func makeCgroup(_ group: String, _ spec: RuntimeSpec, _ cgroups: Cgroups) throws(LauncherError) {
        do {
            // A group with processes in it belongs to somebody; limits would hit them (runc refuses too).
            if cgroups.exists(group), try !cgroups.processes(in: group).isEmpty {
                throw LauncherError("the container's cgroup \(group) is not empty")
            }
            try cgroups.create(group)
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("creating cgroup \(group)", error)
        }
        if let resources = spec.linux.resources {
            try CgroupResources(cgroups: cgroups, group: group).apply(resources)
        }
        try CgroupDevices(spec).apply(to: group, cgroups: cgroups, log: log)
    }

    // MARK: The container's process

    private func start(
        _ spec: RuntimeSpec, _ process: RuntimeSpec.Process, _ record: inout ContainerRecord, cgroups: Cgroups?,
        pid: inout Int32?, startsItself: Bool, channel: inout CInt?
    ) throws(LauncherError) {
        let namespaces = try NamespacePlan(spec.linux.namespaces)
        let sources = try prepareSources(
            spec, bundle: record.bundle, hasUserNamespace: namespaces.has(.user))
        let plan = InitPlan(
            mounts: MountContext(
                spec: spec, bundle: record.bundle, rootfs: record.rootfs, namespaces: namespaces,
                cgroups: try hierarchies(cgroups),
                group: record.cgroup, preparedSources: sources),
            process: process, id: id,
            state: ContainerState(
                ociVersion: spec.ociVersion, id: id, status: .created, pid: nil, bundle: record.bundle,
                annotations: spec.annotations),
            consoleSocket: consoleSocket, startListener: startsItself ? nil : try makeStartListener(),
            pivotsRoot: options.pivotsRoot, hasOwnKeyring: options.hasOwnKeyring,
            preservedDescriptors: options.preservedDescriptors)
        let sync = SyncChannel(try fork(plan, cgroups: cgroups, pid: &pid))
        guard let started = pid else { throw LauncherError("the container's process has no number") }
        if let cgroups, let group = record.cgroup {
            try attempting("entering cgroup \(group)") { try cgroups.add(started, to: group) }
        }
        setOOMScore(process, started)
        try attempting("talking to the container's process") { try sync.send(.proceed) }
        try runHooks(spec.hooks, plan.state, pid: started, sync)
        try sync.expect(.ready)
        record.pid = started
        record.startTime = try attempting("examining process \(started)") { try Processes.startTime(of: started) }
        try store.save(record)
        try writePIDFile(started)
        channel = sync.takeSocket()
    }

    /// A cgroup mount shows the hierarchies also to a container without a group of its own.
    private func hierarchies(_ cgroups: Cgroups?) throws(LauncherError) -> Cgroups {
        if let cgroups { return cgroups }
        return try attempting("finding the cgroup hierarchies") { try Cgroups.current() }
    }

    private func makeStartListener() throws(LauncherError) -> CInt {
        try attempting("creating the start socket") { try Sockets.listen(at: store.startSocket(of: id)).release() }
    }

    /// Copies of mount sources that only the launcher can make: those whose ids are mapped, what another process has open,
    /// which the kernel copies only in the mount namespace that it was opened in, and all where the container is in a user
    /// namespace, whose root may not be let through the directories above them.
    private func prepareSources(
        _ spec: RuntimeSpec, bundle: String, hasUserNamespace: Bool
    ) throws(LauncherError) -> [Int: CInt] {
        var result: [Int: CInt] = [:]
        for (index, mount) in spec.mounts.enumerated() {
            let options = MountOptions(mount.options)
            guard options.isBind || mount.type == "bind", let given = mount.source else { continue }
            let source = given.hasPrefix("/") ? given : "\(bundle)/\(given)"
            if options.idMap != nil || !mount.uidMappings.isEmpty {
                let copy = try UserMappings.mapSource(
                    source, recursive: options.idMap == .recursive,
                    uid: mount.uidMappings.isEmpty ? spec.linux.uidMappings : mount.uidMappings,
                    gid: mount.gidMappings.isEmpty ? spec.linux.gidMappings : mount.gidMappings)
                result[index] = copy.release()
            } else if hasUserNamespace && Processes.effectiveUserID == 0 || Self.isDescriptor(source) {
                let isRecursive = options.flags.contains(.recursive)
                result[index] = try attempting("opening mount source \"\(source)\"") {
                    try Mounting.cloneTree(source, recursive: isRecursive).release()
                }
            }
        }
        return result
    }

    /// Whether a path is `/proc/<pid>/fd/<number>`.
    private static func isDescriptor(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        return parts.count == 4 && parts[0] == "proc" && parts[2] == "fd"
    }

    /// Makes the process, by way of an intermediate one where the namespaces need it; returns the launcher's end.
    private func fork(_ plan: InitPlan, cgroups: Cgroups?, pid: inout Int32?) throws(LauncherError) -> FileDescriptor {
        let namespaces = plan.mounts.namespaces
        let pair = try attempting("creating a socket pair") { try Sockets.pair(.packets) }
        let ownPID = try namespaces.joins(.pid) ? openOwnPIDNamespace() : nil
        if ownPID != nil, !namespaces.needsIntermediate { try namespaces.joinPID() }
        let kinds = namespaces.needsIntermediate ? namespaces.new.intersection(.user) : namespaces.atClone
        let child = try attempting("creating the container's process") { try Processes.fork(into: kinds) }
        if child == 0 {
            let process = InitProcess(plan: plan, log: log)
            let socket = pair.takeSecond().release()
            if namespaces.needsIntermediate { IntermediateProcess(process: process).run(socket) }
            process.run(socket)
        }
        pid = child
        let socket = pair.takeFirst()
        // Hooks run in the launcher's own namespace.
        if let ownPID {
            try attempting("returning to the PID namespace") { try Namespaces.join(ownPID, .pid) }
        }
        if namespaces.new.contains(.user) {
            try UserMappings.write(
                uid: plan.spec.linux.uidMappings, gid: plan.spec.linux.gidMappings, for: child)
        }
        guard namespaces.needsIntermediate else { return socket }
        return try followIntermediate(child, socket, pid: &pid)
    }

    private func openOwnPIDNamespace() throws(LauncherError) -> CInt {
        try attempting("opening the own PID namespace") {
            try FileDescriptor.open("/proc/self/ns/pid", .read).release()
        }
    }

    private func followIntermediate(
        _ child: Int32, _ socket: consuming FileDescriptor, pid: inout Int32?
    ) throws(LauncherError) -> FileDescriptor {
        let sync = SyncChannel(socket)
        let message: SyncChannel.Message?
        do {
            try sync.send(.proceed)
            message = try sync.receive()
        } catch {
            throw LauncherError("talking to the intermediate process", error)
        }
        switch message {
        case .pid(let number)?: pid = number
        case .failure(let text)?: throw LauncherError(text)
        default: throw LauncherError("the intermediate process died")
        }
        _ = try attempting("waiting for the intermediate process") { try Processes.wait(for: child) }
        return FileDescriptor(owning: sync.takeSocket())
    }

    private func setOOMScore(_ process: RuntimeSpec.Process, _ pid: Int32) {
        guard let score = process.oomScoreAdj else { return }
        do {
            try Files.write("\(score)", to: "/proc/\(pid)/oom_score_adj")
        } catch {
            log.warn("oom_score_adj stays as it is: lowering it to \(score) needs CAP_SYS_RESOURCE (\(error.reason))")
        }
    }

    private func runHooks(
        _ hooks: RuntimeSpec.Hooks, _ state: ContainerState, pid: Int32, _ sync: borrowing SyncChannel
    ) throws(LauncherError) {
        if hooks.prestart.isEmpty, hooks.createRuntime.isEmpty { return }
        try sync.expect(.hooks)
        var state = state
        state.status = .creating
        state.pid = pid
        try HookRunner.run(hooks.prestart, "prestart", state: state)
        try HookRunner.run(hooks.createRuntime, "createRuntime", state: state)
        try attempting("talking to the container's process") { try sync.send(.hooks) }
    }

    private func writePIDFile(_ pid: Int32) throws(LauncherError) {
        guard let path = options.pidFile else { return }
        try attempting("writing the pid file") {
            try Files.replace(path, with: Array("\(pid)".utf8), durable: false)
        }
    }
}

/// A process between the launcher and the container: it enters a user namespace that exists, or makes a time
/// namespace, and its child is the container.
struct IntermediateProcess {
    let process: InitProcess

    func run(_ socket: CInt) -> Never {
        let channel = SyncChannel(FileDescriptor(owning: socket))
        do {
            try makeContainer(channel)
        } catch {
            // A launcher that is gone needs no telling.
            try? channel.send(.failure(error.description))
        }
        _ = channel.takeSocket()
        Processes.exit(0)
    }

    private func makeContainer(_ channel: borrowing SyncChannel) throws(LauncherError) {
        try channel.expect(.proceed)
        let namespaces = process.plan.mounts.namespaces
        try namespaces.joinAll()
        if namespaces.new.contains(.time) { try makeTimeNamespace() }
        let child = try attempting("creating the container's process") {
            try Processes.fork(into: namespaces.atClone.subtracting(.user), asSibling: true)
        }
        if child == 0 { process.run(channel.socket.rawValue) }
        try attempting("reporting the container's process") { try channel.send(.pid(child)) }
    }

    private func makeTimeNamespace() throws(LauncherError) {
        do {
            try Namespaces.unshare(.time)
            for (clock, offset) in process.plan.spec.linux.timeOffsets {
                try Files.write("\(clock) \(offset.secs) \(offset.nanosecs)\n", to: "/proc/self/timens_offsets")
            }
        } catch {
            throw LauncherError("creating the time namespace", error)
        }
    }
}
