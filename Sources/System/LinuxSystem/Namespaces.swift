// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Kinds of namespaces(7), combined as in the flags of clone(2).
package struct NamespaceKinds: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }

    package static let time = NamespaceKinds(rawValue: 0x0000_0080)
    package static let mount = NamespaceKinds(rawValue: 0x0002_0000)
    package static let cgroup = NamespaceKinds(rawValue: 0x0200_0000)
    package static let uts = NamespaceKinds(rawValue: 0x0400_0000)
    package static let ipc = NamespaceKinds(rawValue: 0x0800_0000)
    package static let user = NamespaceKinds(rawValue: 0x1000_0000)
    package static let pid = NamespaceKinds(rawValue: 0x2000_0000)
    package static let network = NamespaceKinds(rawValue: 0x4000_0000)
}

/// The namespace calls; all of them act on the calling thread.
package enum Namespaces {
    /// setns(2) with a namespace file, or with a pidfd and several kinds.
    package static func join(
        _ descriptor: borrowing FileDescriptor, _ kinds: NamespaceKinds, _ subject: String = ""
    ) throws(SystemError) {
        let number = descriptor.rawValue
        try systemCall("setns", subject) { clinux_setns(number, CInt(bitPattern: kinds.rawValue)) }
    }

    /// setns(2) with a number that somebody else owns.
    package static func join(
        _ descriptor: CInt, _ kinds: NamespaceKinds, _ subject: String = ""
    ) throws(SystemError) {
        try systemCall("setns", subject) { clinux_setns(descriptor, CInt(bitPattern: kinds.rawValue)) }
    }

    /// unshare(2).
    package static func unshare(_ kinds: NamespaceKinds) throws(SystemError) {
        try systemCall("unshare") { clinux_unshare(CInt(bitPattern: kinds.rawValue)) }
    }

    /// sethostname(2) in the current UTS namespace.
    package static func setHostname(_ name: String) throws(SystemError) {
        try systemCall("sethostname", name) { sethostname(name, name.utf8.count) }
    }

    /// setdomainname(2) in the current UTS namespace.
    package static func setDomainname(_ name: String) throws(SystemError) {
        try systemCall("setdomainname", name) { setdomainname(name, name.utf8.count) }
    }

    /// Sets the loopback interface of the current network namespace up.
    package static func bringLoopbackUp() throws(SystemError) {
        try systemCall("loopback interface") { clinux_loopback_up() }
    }
}
