// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The capabilities of a container's process.
enum CapabilityList {
    /// What a container has unless it is told otherwise: the set that Docker, containerd and CRI-O share.
    static let standard = [
        "CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_MKNOD",
        "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
        "CAP_SYS_CHROOT",
    ]

    /// The standard set with what is added and without what is dropped; `ALL` stands for every one.
    static func resolve(added: [String], dropped: [String]) -> [String] {
        let normalize = { (name: String) -> String in
            let upper = name.uppercased()
            return upper.hasPrefix("CAP_") ? upper : "CAP_\(upper)"
        }
        let added = added.map(normalize)
        let dropped = dropped.map(normalize)
        var set = Set(standard)
        if dropped.contains("CAP_ALL") { set = [] }
        if added.contains("CAP_ALL") { set = Set(everything) }
        for name in added where name != "CAP_ALL" { set.insert(name) }
        for name in dropped where name != "CAP_ALL" { set.remove(name) }
        return set.sorted()
    }

    /// All that this kernel knows.
    static var everything: [String] {
        CapabilitySet.names.enumerated().filter { Credentials.isInBoundingSet($0.offset) }.map { "CAP_\($0.element)" }
    }

    /// The five sets: nothing is inheritable or ambient, so that a program run by another user starts with none.
    static func sets(_ names: [String]) -> RuntimeSpec.Capabilities {
        RuntimeSpec.Capabilities(bounding: names, effective: names, permitted: names)
    }
}
