// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Which devices a container may use: `devices.allow` and `devices.deny` on cgroup v1, a BPF program on v2.
struct CgroupDevices {
    /// The rules in order; a later one wins.
    let rules: [RuntimeSpec.DeviceRule]

    /// The configuration's rules, with the devices that every container has allowed at the end, as runc does.
    init(_ spec: RuntimeSpec) {
        let configured = spec.linux.resources?.devices ?? []
        if configured.isEmpty {
            rules = []
            return
        }
        var rules = configured
        // Any node may be made, as long as it may not be used.
        rules.append(.init(allow: true, type: "c", access: "m"))
        rules.append(.init(allow: true, type: "b", access: "m"))
        for device in RootFilesystem.defaultDevices {
            rules.append(
                .init(
                    allow: true, type: "c", major: Int64(device.major), minor: Int64(device.minor), access: "rwm"))
        }
        // /dev/console, /dev/ptmx and /dev/pts/*
        rules.append(.init(allow: true, type: "c", major: 5, minor: 1, access: "rwm"))
        rules.append(.init(allow: true, type: "c", major: 5, minor: 2, access: "rwm"))
        rules.append(.init(allow: true, type: "c", major: 136, access: "rwm"))
        self.rules = rules
    }

    /// Puts the rules in force for a group. A machine without the controller is not an error: the capabilities of an
    /// ordinary container do not let it make devices either.
    func apply(to group: String, cgroups: Cgroups, log: Log) throws(LauncherError) {
        if rules.isEmpty { return }
        do {
            if cgroups.isUnified {
                guard let directory = cgroups.directories(of: group).first else { return }
                try DeviceFilter.attach(program, to: directory)
            } else if let directory = cgroups.directory(of: group, controller: "devices") {
                let allow = try FileDescriptor.open("\(directory)/devices.allow", .write)
                let deny = try FileDescriptor.open("\(directory)/devices.deny", .write)
                for rule in rules {
                    if rule.allow {
                        try allow.writeAll(Self.line(rule), "devices.allow")
                    } else {
                        try deny.writeAll(Self.line(rule), "devices.deny")
                    }
                }
            }
        } catch {
            // Inside a user namespace, or where a parent group allows less, the rules cannot be had.
            guard error.errno == Errno.EPERM else { throw LauncherError("setting the device rules", error) }
            log.warn("the device rules cannot be set: \(error)")
        }
    }

    /// A rule in the words of cgroup v1 (cgroup-v1/devices.rst).
    static func line(_ rule: RuntimeSpec.DeviceRule) -> String {
        func number(_ value: Int64?) -> String { value.flatMap { $0 < 0 ? nil : "\($0)" } ?? "*" }
        let type = rule.type.flatMap { $0.isEmpty ? nil : $0 } ?? "a"
        if type == "a" { return "a" }
        let access = rule.access.flatMap { $0.isEmpty ? nil : $0 } ?? "rwm"
        return "\(type) \(number(rule.major)):\(number(rule.minor)) \(access)"
    }

    // MARK: The program of cgroup v2

    /// A BPF program that looks at the rules from the last to the first; the first that matches decides.
    ///
    /// Its argument is `struct bpf_cgroup_dev_ctx { u32 access_type, major, minor }` (linux/bpf.h), with the type in the
    /// low half of the first word and the access in the high half. It returns 1 to allow.
    var program: [UInt64] {
        typealias I = BPFInstruction
        var code: [UInt64] = [
            I.load32(to: 2, from: 1, offset: 0), I.and(2, 0xFFFF), I.load32(to: 3, from: 1, offset: 0),
            I.shiftRight(3, 16), I.load32(to: 4, from: 1, offset: 4), I.load32(to: 5, from: 1, offset: 8),
        ]
        for rule in rules.reversed() {
            code += Self.block(rule)
            // It decides about everything that comes so far: the kernel refuses programs with instructions that are never reached.
            if Self.matchesAll(rule) { return code }
        }
        // Without a matching rule the parent's rules are all there are.
        code += [I.move(0, 1), I.exit]
        return code
    }

    private static func matchesAll(_ rule: RuntimeSpec.DeviceRule) -> Bool {
        rule.type.map { $0.isEmpty || $0 == "a" } ?? true
    }

    private static func block(_ rule: RuntimeSpec.DeviceRule) -> [UInt64] {
        typealias I = BPFInstruction
        let result = [I.move(0, rule.allow ? 1 : 0), I.exit]
        guard let type = rule.type, !matchesAll(rule) else { return result }
        // Each test jumps over the rest of the block; the distances are known from the end.
        var tests: [(UInt16) -> [UInt64]] = []
        // BPF_DEVCG_DEV_BLOCK is 1, BPF_DEVCG_DEV_CHAR is 2.
        let typeNumber: Int32 = type == "b" ? 1 : 2
        tests.append { [I.jumpIfNotEqual(2, typeNumber, $0)] }
        // BPF_DEVCG_ACC_MKNOD is 1, READ 2, WRITE 4.
        var mask: Int32 = 0
        for letter in rule.access.flatMap({ $0.isEmpty ? nil : $0 }) ?? "rwm" {
            mask |= letter == "m" ? 1 : letter == "r" ? 2 : 4
        }
        if mask != 7 {
            // An allowing rule must cover all that is asked for; a denying one any part of it.
            tests.append { distance in
                [I.copy(1, 3), I.and(1, mask)]
                    + (rule.allow ? [I.jumpIfRegistersDiffer(1, 3, distance)] : [I.jumpIfEqual(1, 0, distance)])
            }
        }
        if let major = rule.major, major >= 0 {
            tests.append { [I.jumpIfNotEqual(4, Int32(truncatingIfNeeded: major), $0)] }
        }
        if let minor = rule.minor, minor >= 0 {
            tests.append { [I.jumpIfNotEqual(5, Int32(truncatingIfNeeded: minor), $0)] }
        }
        var code = result
        for test in tests.reversed() { code = test(UInt16(code.count)) + code }
        return code
    }
}

/// Instructions of the BPF machine in their 64-bit form (bpf.h, struct bpf_insn; little-endian).
enum BPFInstruction {
    private static func make(
        _ opcode: UInt8, destination: UInt8 = 0, source: UInt8 = 0, offset: UInt16 = 0, immediate: Int32 = 0
    ) -> UInt64 {
        UInt64(opcode) | UInt64(destination) << 8 | UInt64(source) << 12 | UInt64(offset) << 16
            | UInt64(UInt32(bitPattern: immediate)) << 32
    }

    static func load32(to register: UInt8, from base: UInt8, offset: UInt16) -> UInt64 {
        make(0x61, destination: register, source: base, offset: offset)
    }
    static func and(_ register: UInt8, _ value: Int32) -> UInt64 { make(0x54, destination: register, immediate: value) }
    static func shiftRight(_ register: UInt8, _ bits: Int32) -> UInt64 {
        make(0x74, destination: register, immediate: bits)
    }
    static func move(_ register: UInt8, _ value: Int32) -> UInt64 {
        make(0xB7, destination: register, immediate: value)
    }
    static func copy(_ register: UInt8, _ source: UInt8) -> UInt64 { make(0xBC, destination: register, source: source) }
    static func jumpIfEqual(_ register: UInt8, _ value: Int32, _ distance: UInt16) -> UInt64 {
        make(0x15, destination: register, offset: distance, immediate: value)
    }
    static func jumpIfNotEqual(_ register: UInt8, _ value: Int32, _ distance: UInt16) -> UInt64 {
        make(0x55, destination: register, offset: distance, immediate: value)
    }
    static func jumpIfRegistersDiffer(_ register: UInt8, _ other: UInt8, _ distance: UInt16) -> UInt64 {
        make(0x5D, destination: register, source: other, offset: distance)
    }
    static let exit = make(0x95)
}
