// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Turns the launcher's process inside the container into what the configuration's `process` describes.
struct ProcessSetup {
    let process: RuntimeSpec.Process
    let seccomp: RuntimeSpec.Seccomp?
    /// Descriptors from 3 on that the program inherits.
    let preservedDescriptors: Int

    /// Sets what needs the launcher's privileges but does not depend on the new root: limits and scheduling.
    func applyLimits(log: Log) throws(LauncherError) {
        for limit in process.rlimits {
            do {
                try Credentials.setResourceLimit(limit.type, soft: limit.soft, hard: limit.hard)
            } catch {
                guard error.errno == Errno.EPERM else { throw LauncherError("setting \(limit.type)", error) }
                log.warn("\(limit.type) stays as it is: raising it needs CAP_SYS_RESOURCE")
            }
        }
        if let scheduler = process.scheduler { try apply(scheduler) }
        if let priority = process.ioPriority { try apply(priority) }
    }

    private func apply(_ scheduler: RuntimeSpec.Scheduler) throws(LauncherError) {
        let policies = [
            "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_IDLE": 5, "SCHED_DEADLINE": 6,
        ]
        let flagValues = [
            "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
            "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
            "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
        ]
        guard let policy = policies[scheduler.policy] else {
            throw LauncherError("process.scheduler.policy: unknown value \"\(scheduler.policy)\"")
        }
        var flags = 0
        for name in scheduler.flags {
            guard let flag = flagValues[name] else {
                throw LauncherError("process.scheduler.flags: unknown value \"\(name)\"")
            }
            flags |= flag
        }
        do {
            try Credentials.setScheduler(
                policy: UInt32(policy), flags: UInt64(flags), nice: scheduler.nice,
                priority: UInt32(clamping: scheduler.priority), runtime: scheduler.runtime,
                deadline: scheduler.deadline, period: scheduler.period)
        } catch {
            throw LauncherError("setting the scheduler", error)
        }
    }

    private func apply(_ priority: RuntimeSpec.IOPriority) throws(LauncherError) {
        let classes: [String: Int32] = ["IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3]
        guard let number = classes[priority.schedulingClass] else {
            throw LauncherError("process.ioPriority.class: unknown value \"\(priority.schedulingClass)\"")
        }
        do {
            try Credentials.setIOPriority(schedulingClass: number, level: priority.priority)
        } catch {
            throw LauncherError("setting the I/O priority", error)
        }
    }

    /// Sets groups, ids and capabilities. Afterwards the process has the user's rights and no more.
    func dropPrivileges(log: Log) throws(LauncherError) {
        do {
            let sets = try process.capabilities.map { try CapabilitySets($0, log: log) }
            try sets?.limitBoundingSet()
            try setGroups()
            try Credentials.setGroupID(process.user.gid)
            // Kept over the change of the user, so that the sets below can be set at all; exec drops the flag.
            try Credentials.keepCapabilities(true)
            try Credentials.setUserID(process.user.uid)
            try sets?.apply(log: log)
            try Credentials.keepCapabilities(false)
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("setting the process's user", error)
        }
        // 0022 is what every other runtime leaves to the program.
        Processes.setFileCreationMask(process.user.umask ?? 0o022)
    }

    private func setGroups() throws(SystemError) {
        do {
            try Credentials.setGroups(process.user.additionalGids)
        } catch  where error.errno == Errno.EPERM && process.user.additionalGids.isEmpty {
            // A user namespace where setgroups(2) is denied for good; there is nothing to drop that could be.
        }
    }

    /// Changes to the working directory; false where only another user may.
    private func enterWorkingDirectory() throws(LauncherError) -> Bool {
        do {
            try Processes.changeDirectory(process.cwd)
        } catch {
            if error.errno == Errno.EACCES || error.errno == Errno.EPERM { return false }
            throw LauncherError("changing to the working directory", error)
        }
        return true
    }

    /// Makes sure that the working directory is inside the root (CVE-2024-21626).
    private func checkWorkingDirectory() throws(LauncherError) {
        guard let path = Processes.currentDirectory(), path.hasPrefix("/") else {
            throw LauncherError("the working directory \"\(process.cwd)\" is outside the container's root")
        }
    }

    /// Takes on the user's rights and directory, and finds the program with them.
    private func takeOnUser(log: Log) throws(LauncherError) -> String {
        try applyLimits(log: log)
        // A directory that only root may enter is entered by root, one that only the user may by the user.
        let hasEntered = try enterWorkingDirectory()
        try dropPrivileges(log: log)
        if !hasEntered, try !enterWorkingDirectory() {
            throw LauncherError("changing to the working directory \"\(process.cwd)\": Permission denied")
        }
        try checkWorkingDirectory()
        return try program()
    }

    /// Becomes the program. Returns only by an error.
    ///
    /// A filter needs either no_new_privs, and comes last then, or CAP_SYS_ADMIN, and comes before the rights are given
    /// up; in both cases `beforeExec` (the wait for `start`, hooks) is over by then, so the filter meets as few of the
    /// launcher's own calls as possible.
    func become(
        _ label: borrowing SecurityLabel, log: Log, beforeExec: () throws(LauncherError) -> Void
    ) throws(LauncherError) -> Never {
        let filter = try seccomp.map { (seccomp) throws(LauncherError) in try SeccompFilter(seccomp) }
        // With no_new_privs a module may refuse the change.
        try label.apply()
        if process.noNewPrivileges {
            try attempting("setting no_new_privs") { try Credentials.setNoNewPrivileges() }
        }
        let path: String
        if filter == nil || process.noNewPrivileges {
            path = try takeOnUser(log: log)
            try beforeExec()
            try filter?.load()
        } else {
            // What can be known beforehand is told at creation.
            _ = try program()
            try beforeExec()
            try filter?.load()
            path = try takeOnUser(log: log)
        }
        let environment = environment()
        try attempting("preparing for exec") {
            try Signals.reset()
            try closeDescriptorsOnExec(from: CInt(3 + preservedDescriptors))
        }
        let error = Processes.execute(path, arguments: process.args, environment: environment)
        throw LauncherError("exec: \"\(path)\"", error)
    }

    /// The environment, completed by `HOME` from the container's /etc/passwd and by what is passed through.
    func environment() -> [String] {
        var environment = process.env
        if preservedDescriptors > 0, let count = environmentVariable("LISTEN_FDS") {
            environment.append("LISTEN_FDS=\(count)")
            environment.append("LISTEN_PID=\(Processes.current)")
        }
        if !environment.contains(where: { $0.hasPrefix("HOME=") }) {
            environment.append("HOME=\(homeDirectory() ?? "/")")
        }
        return environment
    }

    private func homeDirectory() -> String? {
        // A container without the file, or with one that is no text, has its users at home in the root.
        guard let text = try? Files.readText("/etc/passwd") else { return nil }
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count > 5, fields[2] == "\(process.user.uid)" { return String(fields[5]) }
        }
        return nil
    }

    /// Finds the program as execvp(3) does, in `PATH` of the new environment.
    ///
    /// The wording of the errors is runc's, which podman and the kubelet tell apart.
    func program() throws(LauncherError) -> String {
        guard let name = process.args.first, !name.isEmpty else {
            throw LauncherError("process.args must name a program")
        }
        if name.contains("/") {
            try checkExecutable(name)
            return name
        }
        let variable = process.env.last { $0.hasPrefix("PATH=") }
        let path =
            variable.map { String($0.dropFirst(5)) } ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        var denied: LauncherError?
        for directory in path.split(separator: ":", omittingEmptySubsequences: false) {
            let candidate = directory.isEmpty ? "./\(name)" : "\(directory)/\(name)"
            guard Files.exists(candidate) else { continue }
            do {
                try checkExecutable(candidate)
                return candidate
            } catch {
                denied = error
            }
        }
        throw denied
            ?? LauncherError("exec: \"\(name)\": executable file not found in $PATH: No such file or directory")
    }

    private func checkExecutable(_ path: String) throws(LauncherError) {
        let status: FileStatus?
        do {
            status = try Files.status(path)
        } catch {
            throw LauncherError("exec: \"\(path)\": \(error.reason.lowercasedFirst)")
        }
        guard let status else { throw LauncherError("exec: \"\(path)\": stat \(path): no such file or directory") }
        if status.kind == .directory { throw LauncherError("exec: \"\(path)\": is a directory: permission denied") }
        guard Files.isExecutable(path) else { throw LauncherError("exec: \"\(path)\": permission denied") }
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}
