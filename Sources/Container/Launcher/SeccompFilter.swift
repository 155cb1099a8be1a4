// SPDX-License-Identifier: Apache-2.0

import CSeccomp
import LinuxSystem
import OCISpec

/// A system call filter, built by libseccomp and not yet in force.
final class SeccompFilter {
    private let context: scmp_filter_ctx

    /// Builds the filter. Names of system calls and architectures that this machine does not know are left out, as in
    /// every other runtime: profiles are written for many kernels.
    init(_ seccomp: RuntimeSpec.Seccomp) throws(LauncherError) {
        let defaultAction = try Self.action(seccomp.defaultAction, errno: seccomp.defaultErrnoRet, "defaultAction")
        guard let context = seccomp_init(defaultAction) else {
            throw LauncherError("linux.seccomp: libseccomp refuses the default action \(seccomp.defaultAction)")
        }
        do throws(LauncherError) {
            try Self.configure(context, seccomp, defaultAction: defaultAction)
        } catch {
            seccomp_release(context)
            throw error
        }
        self.context = context
    }

    private static func configure(
        _ context: scmp_filter_ctx, _ seccomp: RuntimeSpec.Seccomp, defaultAction: UInt32
    ) throws(LauncherError) {
        // Without this, seccomp_load() would set no_new_privs, whose use is the configuration's to decide.
        try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_NNP, 0), "allowing new privileges")
        try setFlags(seccomp.flags, of: context)
        try addArchitectures(seccomp.architectures, to: context)
        for (index, rule) in seccomp.syscalls.enumerated() {
            try add(rule, to: context, defaultAction: defaultAction, place: "linux.seccomp.syscalls[\(index)]")
        }
    }

    deinit { seccomp_release(context) }

    /// Puts the filter in force for this process and what it becomes.
    func load() throws(LauncherError) { try Self.check(seccomp_load(context), "loading the filter") }

    private static func check(_ result: CInt, _ attempt: String) throws(LauncherError) {
        if result < 0 { throw LauncherError("seccomp: \(attempt)", SystemError("libseccomp", errno: -result)) }
    }

    private static func action(
        _ name: String, errno: UInt32?, _ place: String
    ) throws(LauncherError) -> UInt32 {
        // The low 16 bits of an action carry its error number (seccomp(2), SECCOMP_RET_DATA).
        let number = (errno ?? UInt32(Errno.EPERM)) & 0xFFFF
        switch name {
        case "SCMP_ACT_ALLOW": return 0x7FFF_0000
        case "SCMP_ACT_LOG": return 0x7FFC_0000
        case "SCMP_ACT_TRACE": return 0x7FF0_0000 | number
        case "SCMP_ACT_ERRNO": return 0x0005_0000 | number
        case "SCMP_ACT_TRAP": return 0x0003_0000
        case "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD": return 0x0000_0000
        case "SCMP_ACT_KILL_PROCESS": return 0x8000_0000
        case "SCMP_ACT_NOTIFY":
            throw LauncherError(
                "\(place): SCMP_ACT_NOTIFY is not supported; use a profile without a notification agent")
        default: throw LauncherError("\(place): unknown action \"\(name)\"")
        }
    }

    private static func setFlags(_ flags: [String], of context: scmp_filter_ctx) throws(LauncherError) {
        for flag in flags {
            switch flag {
            case "SECCOMP_FILTER_FLAG_LOG": try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_LOG, 1), flag)
            case "SECCOMP_FILTER_FLAG_SPEC_ALLOW": try check(seccomp_attr_set(context, SCMP_FLTATR_CTL_SSB, 1), flag)
            // One thread needs no synchronisation; the wait flag is about notifications.
            case "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": continue
            default: throw LauncherError("linux.seccomp.flags: unknown flag \"\(flag)\"")
            }
        }
    }

    private static func addArchitectures(
        _ names: [String], to context: scmp_filter_ctx
    ) throws(LauncherError) {
        for name in names {
            guard name.hasPrefix("SCMP_ARCH_") else {
                throw LauncherError("linux.seccomp.architectures: unknown architecture \"\(name)\"")
            }
            let token = seccomp_arch_resolve_name(name.dropFirst(10).lowercased())
            // EEXIST: it is the native one, which every filter has.
            let isUnknown = token == 0
            if isUnknown { continue }
            let result = seccomp_arch_add(context, token)
            if result != -Errno.EEXIST { try check(result, "adding \(name)") }
        }
    }

    private static func add(
        _ rule: RuntimeSpec.SyscallRule, to context: scmp_filter_ctx, defaultAction: UInt32, place: String
    ) throws(LauncherError) {
        let action = try action(rule.action, errno: rule.errnoRet, "\(place).action")
        // libseccomp refuses rules that repeat the default.
        if action == defaultAction { return }
        let comparisons = try rule.args.map { argument throws(LauncherError) in
            try comparison(argument, place)
        }
        // Several conditions on one argument cannot be in one rule; runc makes each a rule of its own then.
        let indices = Set(rule.args.map(\.index))
        let groups = indices.count == comparisons.count ? [comparisons] : comparisons.map { [$0] }
        for name in rule.names {
            let number = seccomp_syscall_resolve_name(name)
            // __NR_SCMP_ERROR
            if number == -1 { continue }
            for group in groups {
                let result = seccomp_rule_add_array(context, action, number, UInt32(group.count), group)
                // The call does not exist on one of the architectures, or the rule is there already.
                if result == -Errno.EEXIST || result == -33 { continue }
                try check(result, "\(place): adding a rule for \(name)")
            }
        }
    }

    private static func comparison(
        _ argument: RuntimeSpec.SyscallArgument, _ place: String
    ) throws(LauncherError) -> scmp_arg_cmp {
        let operators: [String: scmp_compare] = [
            "SCMP_CMP_NE": SCMP_CMP_NE, "SCMP_CMP_LT": SCMP_CMP_LT, "SCMP_CMP_LE": SCMP_CMP_LE,
            "SCMP_CMP_EQ": SCMP_CMP_EQ, "SCMP_CMP_GE": SCMP_CMP_GE, "SCMP_CMP_GT": SCMP_CMP_GT,
            "SCMP_CMP_MASKED_EQ": SCMP_CMP_MASKED_EQ,
        ]
        guard let op = operators[argument.op] else {
            throw LauncherError("\(place).args: unknown operator \"\(argument.op)\"")
        }
        guard argument.index < 6 else { throw LauncherError("\(place).args: index \(argument.index) is above 5") }
        return scmp_arg_cmp(
            arg: argument.index, op: op, datum_a: argument.value, datum_b: argument.valueTwo)
    }
}
