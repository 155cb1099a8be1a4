// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A set of capabilities(7), one bit for each.
package struct CapabilitySet: OptionSet, Sendable, Hashable {
    package let rawValue: UInt64
    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// The names in the order of their numbers, without `CAP_`.
    package static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ]

    /// The set of one capability; nil for a name that is not known. `CAP_` in front is optional, case does not matter.
    package init?(name: String) {
        var upper = Substring(name.uppercased())
        if upper.hasPrefix("CAP_") { upper = upper.dropFirst(4) }
        guard let number = Self.names.firstIndex(of: String(upper)) else { return nil }
        rawValue = 1 << UInt64(number)
    }

    /// The numbers of the members.
    package var numbers: [Int] { (0..<64).filter { rawValue >> UInt64($0) & 1 == 1 } }
}

/// Ids, capabilities and limits of the calling process, which must be single-threaded for those that change them.
package enum Credentials {
    /// The effective, permitted and inheritable capabilities.
    package static func capabilities() throws(SystemError) -> (
        effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet
    ) {
        var effective: UInt64 = 0
        var permitted: UInt64 = 0
        var inheritable: UInt64 = 0
        try systemCall("capget") { clinux_capget(&effective, &permitted, &inheritable) }
        return (.init(rawValue: effective), .init(rawValue: permitted), .init(rawValue: inheritable))
    }

    /// capset(2).
    package static func setCapabilities(
        effective: CapabilitySet, permitted: CapabilitySet, inheritable: CapabilitySet
    ) throws(SystemError) {
        try systemCall("capset") { clinux_capset(effective.rawValue, permitted.rawValue, inheritable.rawValue) }
    }

    /// Whether a capability is in the bounding set; false also for one that the kernel does not know.
    package static func isInBoundingSet(_ number: Int) -> Bool { clinux_prctl(23, UInt(number), 0, 0, 0) == 1 }

    /// Takes a capability out of the bounding set.
    package static func dropFromBoundingSet(_ number: Int) throws(SystemError) {
        try systemCall("prctl(PR_CAPBSET_DROP)", "\(number)") { clinux_prctl(24, UInt(number), 0, 0, 0) }
    }

    /// Empties the ambient set.
    package static func clearAmbientSet() throws(SystemError) {
        try systemCall("prctl(PR_CAP_AMBIENT)") { clinux_prctl(47, 4, 0, 0, 0) }
    }

    /// Adds a capability to the ambient set.
    package static func addToAmbientSet(_ number: Int) throws(SystemError) {
        try systemCall("prctl(PR_CAP_AMBIENT)", "\(number)") { clinux_prctl(47, 2, UInt(number), 0, 0) }
    }

    /// Whether the permitted set survives a change from uid 0 (`PR_SET_KEEPCAPS`); exec clears the flag.
    package static func keepCapabilities(_ on: Bool) throws(SystemError) {
        try systemCall("prctl(PR_SET_KEEPCAPS)") { clinux_prctl(8, on ? 1 : 0, 0, 0, 0) }
    }

    /// Forbids execve(2) to give privileges from now on.
    package static func setNoNewPrivileges() throws(SystemError) {
        try systemCall("prctl(PR_SET_NO_NEW_PRIVS)") { clinux_prctl(38, 1, 0, 0, 0) }
    }

    /// setgroups(2).
    package static func setGroups(_ groups: [UInt32]) throws(SystemError) {
        try systemCall("setgroups") { clinux_setgroups(groups.count, groups) }
    }

    /// setresgid(2) of all three ids.
    package static func setGroupID(_ gid: UInt32) throws(SystemError) {
        try systemCall("setresgid", "\(gid)") { clinux_setresgid(gid) }
    }

    /// setresuid(2) of all three ids.
    package static func setUserID(_ uid: UInt32) throws(SystemError) {
        try systemCall("setresuid", "\(uid)") { clinux_setresuid(uid) }
    }

    /// The limits of setrlimit(2) by their names, `RLIMIT_NOFILE`.
    package static let resourceLimits: [String: Int32] = [
        "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
        "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
        "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
    ]

    /// prlimit(2).
    package static func setResourceLimit(
        _ name: String, soft: UInt64, hard: UInt64, of pid: Int32 = 0
    ) throws(SystemError) {
        guard let number = resourceLimits[name] else { throw SystemError("prlimit", name, errno: EINVAL) }
        try systemCall("prlimit", name) { clinux_prlimit(pid, number, soft, hard) }
    }

    /// Gives the process a session keyring of its own with this name, and lets its owner's processes search it.
    package static func joinSessionKeyring(_ name: String) throws(SystemError) {
        let key = try systemCall("keyctl(JOIN_SESSION_KEYRING)", name) { clinux_keyctl_join_session(name) }
        var buffer = [CChar](repeating: 0, count: 256)
        let length = try systemCall("keyctl(DESCRIBE)", name) { clinux_keyctl_describe(key, &buffer, buffer.count) }
        // type;uid;gid;permissions;name
        let text = String(decoding: buffer.prefix(Int(length)).map(UInt8.init(bitPattern:)), as: UTF8.self)
        let fields = text.split(separator: ";", omittingEmptySubsequences: false)
        guard fields.count > 3, let permissions = UInt32(fields[3], radix: 16) else { return }
        // KEY_USR_SEARCH, as runc sets it: programs that change their uid keep finding their keys.
        try systemCall("keyctl(SETPERM)", name) { clinux_keyctl_setperm(key, permissions | 0x0008_0000) }
    }

    /// personality(2).
    package static func setPersonality(_ persona: UInt) throws(SystemError) {
        try systemCall("personality") { clinux_personality(persona) }
    }

    /// ioprio_set(2) of the calling process; the class is 1 (real time), 2 (best effort) or 3 (idle).
    package static func setIOPriority(schedulingClass: Int32, level: Int32) throws(SystemError) {
        try systemCall("ioprio_set") { clinux_ioprio_set(1, 0, schedulingClass << 13 | level) }
    }

    /// sched_setattr(2) of the calling process.
    package static func setScheduler(
        policy: UInt32, flags: UInt64, nice: Int32, priority: UInt32, runtime: UInt64, deadline: UInt64, period: UInt64
    ) throws(SystemError) {
        var attributes = clinux_scheduler(
            policy: policy, flags: flags, nice: nice, priority: priority, runtime: runtime, deadline: deadline,
            period: period)
        try systemCall("sched_setattr") { clinux_sched_setattr(&attributes) }
    }
}
