// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// How a process ended.
package enum ExitStatus: Sendable, Hashable {
    /// It called exit(3) with this code.
    case exited(Int32)
    /// A signal ended it.
    case signaled(Int32)

    /// The code that a shell reports: 128 and the signal's number for a signal.
    package var shellCode: Int32 {
        switch self {
        case .exited(let code): code
        case .signaled(let signal): 128 + signal
        }
    }
}

/// Process calls that work on numbers and on descriptors of processes.
package enum Processes {
    /// The calling process's number.
    package static var current: Int32 { getpid() }

    /// fork(2) into new namespaces: 0 in the child. Only for single-threaded programs.
    ///
    /// - Parameters:
    ///   - asSibling: the child's parent is the caller's parent (`CLONE_PARENT`).
    ///   - cgroup: an open cgroup v2 directory to be born in.
    package static func fork(
        into kinds: NamespaceKinds = [], asSibling: Bool = false, cgroup: CInt? = nil
    ) throws(SystemError) -> Int32 {
        let flags = UInt64(kinds.rawValue) | (asSibling ? 0x8000 : 0)
        return try systemCall("clone3") { clinux_fork(flags, cgroup ?? -1, nil) }
    }

    /// Waits until a child ends and reaps it.
    package static func wait(for pid: Int32) throws(SystemError) -> ExitStatus {
        var result = clinux_child_exit()
        try systemCall("waitid", "\(pid)") { clinux_waitid(CInt(P_PID.rawValue), UInt32(pid), 0, &result) }
        return status(result)
    }

    /// Reaps one child that has ended, whichever it is; nil where none has. ECHILD: there are no children.
    package static func reapAny() throws(SystemError) -> (pid: Int32, status: ExitStatus)? {
        var result = clinux_child_exit()
        try systemCall("waitid") { clinux_waitid(CInt(P_ALL.rawValue), 0, WNOHANG, &result) }
        return result.pid == 0 ? nil : (result.pid, status(result))
    }

    private static func status(_ result: clinux_child_exit) -> ExitStatus {
        result.code == CInt(CLD_EXITED) ? .exited(result.status) : .signaled(result.status)
    }

    /// kill(2).
    package static func kill(_ pid: Int32, _ signal: Int32) throws(SystemError) {
        try systemCall("kill", "\(pid)") { Glibc.kill(pid, signal) }
    }

    /// pidfd_open(2): a descriptor that goes on naming this process and no later one with its number.
    package static func open(_ pid: Int32) throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try systemCall("pidfd_open", "\(pid)") { clinux_pidfd_open(pid) })
    }

    /// pidfd_send_signal(2).
    package static func signal(_ process: borrowing FileDescriptor, _ signal: Int32) throws(SystemError) {
        let number = process.rawValue
        try systemCall("pidfd_send_signal") { clinux_pidfd_send_signal(number, signal) }
    }

    /// Waits for the child behind a pidfd and reaps it.
    package static func wait(for process: borrowing FileDescriptor) throws(SystemError) -> ExitStatus {
        let number = process.rawValue
        var result = clinux_child_exit()
        try systemCall("waitid") { clinux_waitid(CInt(P_PIDFD.rawValue), UInt32(number), 0, &result) }
        return status(result)
    }

    /// Reaps the child behind a pidfd if it has ended; nil where it runs.
    package static func poll(_ process: borrowing FileDescriptor) throws(SystemError) -> ExitStatus? {
        let number = process.rawValue
        var result = clinux_child_exit()
        try systemCall("waitid") { clinux_waitid(CInt(P_PIDFD.rawValue), UInt32(number), WNOHANG, &result) }
        return result.pid == 0 ? nil : status(result)
    }

    /// Makes orphaned descendants children of this process (`PR_SET_CHILD_SUBREAPER`).
    package static func becomeSubreaper() throws(SystemError) {
        try systemCall("prctl") { clinux_prctl(36, 1, 0, 0, 0) }
    }

    /// Sets the signal that this process gets when its parent dies.
    package static func setParentDeathSignal(_ signal: Int32) throws(SystemError) {
        try systemCall("prctl") { clinux_prctl(1, UInt(signal), 0, 0, 0) }
    }

    /// Allows or forbids other processes to look into this one (`PR_SET_DUMPABLE`).
    package static func setDumpable(_ on: Bool) throws(SystemError) {
        try systemCall("prctl") { clinux_prctl(4, on ? 1 : 0, 0, 0, 0) }
    }

    /// Sets the name that ps(1) shows; 15 bytes of it.
    package static func setName(_ name: String) {
        // A name is a courtesy; the kernel refuses none.
        _ = name.withCString { clinux_prctl(15, UInt(bitPattern: $0), 0, 0, 0) }
    }

    /// setsid(2).
    package static func startSession() throws(SystemError) { try systemCall("setsid") { setsid() } }

    /// umask(2); returns the mask before.
    @discardableResult
    package static func setFileCreationMask(_ mask: UInt32) -> UInt32 { umask(mode_t(mask)) }

    /// chdir(2).
    package static func changeDirectory(_ path: String) throws(SystemError) {
        try systemCall("chdir", path) { chdir(path) }
    }

    /// fchdir(2).
    package static func changeDirectory(_ directory: borrowing FileDescriptor, _ path: String) throws(SystemError) {
        let number = directory.rawValue
        try systemCall("fchdir", path) { fchdir(number) }
    }

    /// chroot(2).
    package static func changeRoot(_ path: String) throws(SystemError) {
        try systemCall("chroot", path) { chroot(path) }
    }

    /// getcwd(3); nil where the directory is outside the root or gone.
    package static func currentDirectory() -> String? {
        guard let path = getcwd(nil, 0) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    /// The environment as `KEY=value`.
    package static func environment() -> [String] {
        var result: [String] = []
        var entry = environ
        while let text = entry.pointee {
            result.append(String(cString: text))
            entry += 1
        }
        return result
    }

    /// Ends the process at once, without what exit(3) would do.
    package static func exit(_ code: Int32) -> Never { _exit(code) }

    /// Seconds that the process sleeps; a signal wakes it early.
    package static func sleep(milliseconds: Int) {
        var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        nanosleep(&time, nil)
    }

    /// The effective user.
    package static var effectiveUserID: UInt32 { geteuid() }

    /// The effective group.
    package static var effectiveGroupID: UInt32 { getegid() }
}

extension Processes {
    /// execve(2): returns only if it fails.
    package static func execute(
        _ path: String, arguments: [String], environment: [String]
    ) -> SystemError {
        withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                _ = execve(path, arguments, environment)
                return SystemError("exec", path, errno: errno)
            }
        }
    }

    /// execveat(2) of an open file: returns only if it fails.
    package static func execute(
        _ file: borrowing FileDescriptor, arguments: [String], environment: [String]
    ) -> SystemError {
        let number = file.rawValue
        return withCStrings(arguments) { arguments in
            withCStrings(environment) { environment in
                _ = clinux_execveat(number, "", arguments, environment, clinux_AT_EMPTY_PATH)
                return SystemError("execveat", errno: errno)
            }
        }
    }

    /// Calls `body` with a null-terminated array of C strings.
    static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
        pointers.append(nil)
        defer { for pointer in pointers { free(pointer) } }
        return body(pointers)
    }

    /// When a process started, in clock ticks since boot: with its number this names it for ever.
    ///
    /// Nil where there is no such process; a zombie counts as one only if `includingZombies`.
    package static func startTime(of pid: Int32, includingZombies: Bool = false) throws(SystemError) -> UInt64? {
        let text: String
        do {
            text = try Files.readText("/proc/\(pid)/stat", limit: 4096)
        } catch  where error.errno == ENOENT || error.errno == ESRCH {
            return nil
        }
        // The name, in parentheses, may hold anything; what follows the last one is regular.
        guard let end = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 19, let state = fields.first else { return nil }
        if !includingZombies, state == "Z" || state == "X" { return nil }
        return UInt64(fields[19])
    }
}
