// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// What the container's first process needs to know to make itself a container.
struct InitPlan {
    let mounts: MountContext
    let process: RuntimeSpec.Process
    let id: String
    /// Hooks get this.
    let state: ContainerState
    /// The connected socket that gets the terminal's master.
    let consoleSocket: CInt?
    /// The listening socket at which the process waits for `start`; nil where the launcher says so itself.
    let startListener: CInt?
    let pivotsRoot: Bool
    let hasOwnKeyring: Bool
    let preservedDescriptors: Int

    var spec: RuntimeSpec { mounts.spec }
}

/// The container's first process, from clone(2) to exec.
struct InitProcess {
    let plan: InitPlan
    let log: Log

    /// Becomes the container and then its program; tells the launcher over its socket how it goes.
    func run(_ socket: CInt) -> Never {
        converse(SyncChannel(FileDescriptor(owning: socket)))
        Processes.exit(1)
    }

    /// Returns only after a failure.
    private func converse(_ channel: consuming SyncChannel) {
        do {
            try channel.expect(.proceed)
            try enterNamespaces()
            let label = try SecurityLabel(plan.process)
            try buildFileSystem(channel)
            try becomeProgram(label, channel)
        } catch {
            report(error, channel)
        }
    }

    private func report(_ error: LauncherError, _ channel: borrowing SyncChannel) {
        // A launcher that is gone has nobody to tell; the log has it then.
        do { try channel.send(.failure(error.description)) } catch { log.write(.error, error.description) }
    }

    // MARK: Namespaces

    private func enterNamespaces() throws(LauncherError) {
        let namespaces = plan.mounts.namespaces
        if !namespaces.needsIntermediate { try namespaces.joinAll() }
        if namespaces.has(.user) { try becomeRoot() }
        do {
            try Processes.startSession()
            if namespaces.new.contains(.network) { try Namespaces.bringLoopbackUp() }
            if namespaces.new.contains(.cgroup) { try Namespaces.unshare(.cgroup) }
            if let hostname = plan.spec.hostname, !hostname.isEmpty { try Namespaces.setHostname(hostname) }
            if let domainname = plan.spec.domainname, !domainname.isEmpty {
                try Namespaces.setDomainname(domainname)
            }
            if let personality = plan.spec.linux.personality {
                // PER_LINUX32 is 8.
                try Credentials.setPersonality(personality.domain == "LINUX32" ? 8 : 0)
            }
        } catch {
            throw LauncherError("setting up namespaces", error)
        }
        if plan.hasOwnKeyring { joinKeyring() }
    }

    /// In a user namespace the process is nobody until it takes on the ids that are mapped.
    private func becomeRoot() throws(LauncherError) {
        do {
            try Credentials.setGroupID(0)
            try Credentials.setUserID(0)
        } catch {
            throw LauncherError("becoming root in the user namespace (its mappings must cover id 0)", error)
        }
        // Denied for good where an unprivileged user made the namespace; there is nothing to drop then.
        try? Credentials.setGroups([])
    }

    private func joinKeyring() {
        do {
            try Credentials.joinSessionKeyring("_ses.\(plan.id)")
        } catch {
            // Kernels without keyrings, and profiles around the launcher that forbid them: runc carries on too.
            log.write(.debug, "no session keyring: \(error)")
        }
    }

    // MARK: File system

    private func buildFileSystem(_ channel: borrowing SyncChannel) throws(LauncherError) {
        Processes.setFileCreationMask(0)
        try RootFilesystem.setKernelParameters(plan.spec.linux.sysctl)
        guard plan.mounts.namespaces.has(.mount) else { return try enterForeignRoot(channel) }
        let root = try RootFilesystem(plan.mounts)
        try root.build()
        if plan.process.terminal { try openTerminal(in: root) }
        try runHooks(channel)
        try root.switchRoot(pivots: plan.pivotsRoot)
    }

    /// Without a mount namespace nothing can be mounted; the process is locked into its root and that is all.
    private func enterForeignRoot(_ channel: borrowing SyncChannel) throws(LauncherError) {
        if !plan.spec.mounts.isEmpty {
            throw LauncherError("mounts need a mount namespace; add one to linux.namespaces or remove the mounts")
        }
        try runHooks(channel)
        try attempting("entering the root file system") {
            try Processes.changeRoot(plan.mounts.rootfs)
            try Processes.changeDirectory("/")
        }
    }

    private func openTerminal(in root: borrowing RootFilesystem) throws(LauncherError) {
        let master = try root.openConsole()
        try Console.handOver(master, to: plan.consoleSocket, for: plan.process)
    }

    /// The hooks of the runtime's namespace run in the launcher, those of the container's run here.
    private func runHooks(_ channel: borrowing SyncChannel) throws(LauncherError) {
        let hooks = plan.spec.hooks
        if !hooks.prestart.isEmpty || !hooks.createRuntime.isEmpty {
            try attempting("asking for hooks") { try channel.send(.hooks) }
            try channel.expect(.hooks)
        }
        try HookRunner.run(hooks.createContainer, "createContainer", state: plan.state)
    }

    // MARK: Program

    private func becomeProgram(
        _ label: borrowing SecurityLabel, _ channel: borrowing SyncChannel
    ) throws(LauncherError) {
        let setup = ProcessSetup(
            process: plan.process, seccomp: plan.spec.linux.seccomp, preservedDescriptors: plan.preservedDescriptors)
        guard let listener = plan.startListener else {
            try setup.become(label, log: log) { () throws(LauncherError) in
                try attempting("reporting readiness") { try channel.send(.ready) }
                try channel.expect(.start)
                try HookRunner.run(plan.spec.hooks.startContainer, "startContainer", state: plan.state)
            }
        }
        // From `start` on, errors go to whoever called it.
        var caller: CInt?
        do {
            try setup.become(label, log: log) { () throws(LauncherError) in
                try attempting("reporting readiness") { try channel.send(.ready) }
                caller = try waitForStart(listener)
                try HookRunner.run(plan.spec.hooks.startContainer, "startContainer", state: plan.state)
            }
        } catch {
            guard let caller else { throw error }
            let connection = FileDescriptor(owning: caller)
            // A caller that is gone learns of the failure by the container's end.
            try? connection.writeAll(error.description)
            log.write(.error, error.description)
            Processes.exit(1)
        }
    }

    private func waitForStart(_ listener: CInt) throws(LauncherError) -> CInt {
        let socket = FileDescriptor(owning: listener)
        do {
            while true {
                if let connection = try Sockets.accept(socket) { return connection.release() }
            }
        } catch {
            throw LauncherError("waiting for start", error)
        }
    }
}
