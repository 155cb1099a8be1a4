// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The runtime's operations on containers (runtime-spec, runtime.md), for one state directory.
struct ContainerLauncher {
    let store: StateStore
    let log: Log
    /// Whether containers get cgroups of their own.
    let managesCgroups: Bool

    /// The machine's cgroups; nil where containers do without.
    func cgroups() throws(LauncherError) -> Cgroups? {
        guard managesCgroups else { return nil }
        do { return try Cgroups.current() } catch { throw LauncherError("finding the cgroup hierarchies", error) }
    }

    /// The state of a container.
    func state(_ id: String) throws(LauncherError) -> ContainerState {
        try store.state(of: try store.require(id), cgroups: try cgroups())
    }

    /// Tells a created container to become its program.
    func start(_ id: String) throws(LauncherError) {
        let record = try store.require(id)
        let status = try store.status(of: record, cgroups: nil)
        guard status == .created else {
            throw LauncherError("cannot start a container that is \(status.rawValue): \"\(id)\"")
        }
        let answer: [UInt8]
        do {
            let connection = try Sockets.connect(to: store.startSocket(of: id))
            try Files.remove(store.startSocket(of: id))
            // The end comes with exec; before it, only an error.
            answer = try connection.readAll(limit: 16384)
        } catch {
            throw LauncherError("starting container \"\(id)\": its first process does not answer", error)
        }
        if !answer.isEmpty { throw LauncherError(String(decoding: answer, as: UTF8.self)) }
        try runPoststart(record)
    }

    /// Runs the hooks that follow the start; their failure is a warning (config.md, "Poststart").
    func runPoststart(_ record: ContainerRecord) throws(LauncherError) {
        let hooks = try store.loadConfig(of: record.id).hooks.poststart
        if hooks.isEmpty { return }
        let state = try store.state(of: record, cgroups: nil)
        HookRunner.runAll(hooks, "poststart", state: state, log: log)
    }

    /// Sends a signal to the first process, or to all of the container's.
    func kill(_ id: String, signal: Int32, all: Bool) throws(LauncherError) {
        let record = try store.require(id)
        if all, let group = record.cgroup, let cgroups = try cgroups() {
            do {
                return try cgroups.signal(group, signal)
            } catch {
                throw LauncherError("killing the processes of container \"\(id)\"", error)
            }
        }
        let status = try store.status(of: record, cgroups: nil)
        guard status == .created || status == .running, let pid = record.pid else {
            throw LauncherError("container not running")
        }
        do {
            let process = try Processes.open(pid)
            // The number may have gone to another process before the descriptor was open; then it started later.
            guard try Processes.startTime(of: pid) == record.startTime else {
                throw LauncherError("container not running")
            }
            try Processes.signal(process, signal)
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("killing container \"\(id)\"", error)
        }
    }

    /// Freezes or thaws a container.
    func setPaused(_ id: String, _ paused: Bool) throws(LauncherError) {
        let record = try store.require(id)
        guard let group = record.cgroup, let cgroups = try cgroups() else {
            throw LauncherError("container \"\(id)\" has no cgroup to freeze")
        }
        let status = try store.status(of: record, cgroups: cgroups)
        guard paused ? status == .running || status == .created : status == .paused else {
            throw LauncherError("cannot \(paused ? "pause" : "resume") a container that is \(status.rawValue)")
        }
        do {
            try cgroups.setFrozen(group, paused)
        } catch {
            throw LauncherError("\(paused ? "pausing" : "resuming") container \"\(id)\"", error)
        }
    }

    /// The processes of a container, in the launcher's PID namespace.
    func processes(_ id: String) throws(LauncherError) -> [Int32] {
        let record = try store.require(id)
        guard let group = record.cgroup, let cgroups = try cgroups() else {
            throw LauncherError("container \"\(id)\" has no cgroup to list the processes of")
        }
        do {
            return try cgroups.processes(in: group)
        } catch {
            throw LauncherError("listing the processes of container \"\(id)\"", error)
        }
    }

    /// Changes the limits of a container.
    func update(_ id: String, _ resources: RuntimeSpec.Resources) throws(LauncherError) {
        let record = try store.require(id)
        guard let group = record.cgroup, let cgroups = try cgroups() else {
            throw LauncherError("container \"\(id)\" has no cgroup to set limits of")
        }
        try CgroupResources(cgroups: cgroups, group: group).apply(resources)
    }

    /// Removes what is left of a container.
    ///
    /// With `force` a running one is killed, one that was created half-way is cleaned away, and one that does not exist
    /// is no error.
    func delete(_ id: String, force: Bool) throws(LauncherError) {
        guard let record = try store.load(id) else {
            if force {
                // Without a record nothing but the directory was made.
                if store.exists(id) { try store.remove(id) }
                return
            }
            throw LauncherError("container \"\(id)\" does not exist")
        }
        let status = try store.status(of: record, cgroups: nil)
        switch status {
        case .stopped: break
        case .created: try destroyProcesses(of: record)
        case .creating, .running, .paused:
            guard force else {
                throw LauncherError("cannot delete container \"\(id)\" that is not stopped: \(status.rawValue)")
            }
            try destroyProcesses(of: record)
        }
        try clean(record)
    }

    /// Removes the cgroup, runs the last hooks and forgets the container.
    func clean(_ record: ContainerRecord) throws(LauncherError) {
        if let group = record.cgroup, let cgroups = try cgroups() {
            do {
                // Processes that outlived the first one (a joined PID namespace) would keep the group.
                try cgroups.remove(group, patience: 0)
            } catch {
                try attempting("killing the processes left in cgroup \(group)") {
                    try cgroups.signal(group, Signals.kill)
                }
                try attempting("removing cgroup \(group)") { try cgroups.remove(group) }
            }
        }
        let hooks = poststopHooks(of: record)
        if !hooks.isEmpty {
            let state = ContainerState(
                ociVersion: record.ociVersion, id: record.id, status: .stopped, pid: nil, bundle: record.bundle,
                annotations: record.annotations)
            HookRunner.runAll(hooks, "poststop", state: state, log: log)
        }
        try store.remove(record.id)
    }

    private func poststopHooks(of record: ContainerRecord) -> [RuntimeSpec.Hook] {
        do {
            return try store.loadConfig(of: record.id).hooks.poststop
        } catch {
            // A container without its configuration can still be removed.
            log.warn(error.description)
            return []
        }
    }

    /// Kills the first process and waits until it is gone; the kernel ends the rest of its PID namespace.
    func destroyProcesses(of record: ContainerRecord) throws(LauncherError) {
        do {
            if let group = record.cgroup, let cgroups = try cgroups() {
                if try cgroups.isFrozen(group) { try cgroups.setFrozen(group, false) }
                try cgroups.signal(group, Signals.kill)
            }
            guard let pid = record.pid, try Processes.startTime(of: pid) == record.startTime else { return }
            let process = try Processes.open(pid)
            guard try Processes.startTime(of: pid) == record.startTime else { return }
            try Processes.signal(process, Signals.kill)
            if try !Polling.wait(process, .readable, timeout: 10_000) {
                throw LauncherError("process \(pid) does not end after SIGKILL")
            }
        } catch let error as LauncherError {
            throw error
        } catch let error as SystemError where error.errno == Errno.ESRCH {
            return
        } catch {
            throw LauncherError("killing container \"\(record.id)\"", error)
        }
    }
}
