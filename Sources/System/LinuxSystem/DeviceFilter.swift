// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// BPF programs that decide about the use of devices in a cgroup v2 group (bpf(2), `BPF_PROG_TYPE_CGROUP_DEVICE`).
package enum DeviceFilter {
    /// Loads a program and attaches it to a group's directory; the programs of parent groups go on counting.
    package static func attach(_ program: [UInt64], to directory: String) throws(SystemError) {
        let group = try FileDescriptor.open(directory, [.read, .directory])
        let filter = try load(program)
        // union bpf_attr for BPF_PROG_ATTACH: target, program, type BPF_CGROUP_DEVICE, flags BPF_F_ALLOW_MULTI.
        var attributes: [UInt32] = [UInt32(group.rawValue), UInt32(filter.rawValue), 6, 2]
        try systemCall("bpf(PROG_ATTACH)", directory) {
            clinux_bpf(8, &attributes, UInt32(attributes.count * 4))
        }
    }

    private static func load(_ program: [UInt64]) throws(SystemError) -> FileDescriptor {
        let license: [CChar] = [0]
        let result = program.withUnsafeBufferPointer { instructions in
            license.withUnsafeBufferPointer { license in
                // union bpf_attr for BPF_PROG_LOAD: type (low) and count (high), instructions, license, then no log.
                var attributes: [UInt64] = [
                    15 | UInt64(instructions.count) << 32, UInt64(UInt(bitPattern: instructions.baseAddress)),
                    UInt64(UInt(bitPattern: license.baseAddress)), 0, 0, 0,
                ]
                return Result { () throws(SystemError) in
                    try systemCall("bpf(PROG_LOAD)") { clinux_bpf(5, &attributes, UInt32(attributes.count * 8)) }
                }
            }
        }
        return FileDescriptor(owning: try result.get())
    }
}

/// The few functions of the mathematics library that modules without the C library need.
package enum Logarithms {
    package static func base2(_ value: Double) -> Double { log2(value) }
    package static func powerOf10(_ exponent: Double) -> Double { pow(10, exponent) }
}
