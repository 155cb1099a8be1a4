// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A socket to the kernel's routing tables (NETLINK_ROUTE, netlink(7)); it stays with the network namespace in which it
/// was opened, whatever namespaces its users are in.
package struct NetlinkChannel: ~Copyable, Sendable {
    /// The largest datagram that is received: the kernel fills dumps up to 32 KiB.
    private static let bufferBytes = 64 << 10

    private let descriptor: FileDescriptor
    private var buffer = [UInt8](repeating: 0, count: NetlinkChannel.bufferBytes)

    /// Opens a socket in the calling thread's network namespace.
    package init() throws(SystemError) {
        self.init(owning: FileDescriptor(owning: try systemCall("socket", "NETLINK_ROUTE") { clinux_netlink_open() }))
    }

    /// Opens a socket in the network namespace that `path` pins.
    package init(namespace path: String) throws(SystemError) {
        let number = clinux_netlink_socket_at(path)
        guard number >= 0 else { throw SystemError("open a netlink socket in", path, errno: -number) }
        self.init(owning: FileDescriptor(owning: number))
    }

    /// What of a network can be listened to.
    package enum Subject: Sendable, Hashable {
        /// Addresses of links, and routes.
        case addresses
        /// Links themselves and their addresses.
        case links
        /// Packet filters' tables (nftables).
        case rules

        /// The protocol and the mask of its multicast groups.
        fileprivate var groups: (protocol: CInt, mask: UInt32) {
            switch self {
            // NETLINK_ROUTE with RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR: a link that goes down takes its
            // routes with it.
            case .addresses: (0, 0x10 | 0x40 | 0x100)
            // NETLINK_ROUTE with RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
            case .links: (0, 0x1 | 0x10 | 0x100)
            // NETLINK_NETFILTER with NFNLGRP_NFTABLES.
            case .rules: (12, 1 << 6)
            }
        }
    }

    /// Opens a non-blocking socket that becomes readable when something changes in the calling thread's network namespace.
    ///
    /// Nobody asks on it, so its datagrams only mean that something changed; a burst may lose some of them.
    package static func subscribe(to subject: Subject) throws(SystemError) -> FileDescriptor {
        let (proto, mask) = subject.groups
        return FileDescriptor(
            owning: try systemCall("subscribe to", "\(subject)") { clinux_netlink_open_groups(proto, mask) })
    }

    /// Takes over an open NETLINK_ROUTE socket.
    package init(owning descriptor: consuming FileDescriptor) {
        clinux_netlink_configure(descriptor.rawValue)
        self.descriptor = descriptor
    }

    /// Sends one datagram, which may hold several requests.
    package func send(_ bytes: [UInt8]) throws(SystemError) {
        try systemCall("send", "NETLINK_ROUTE") {
            clinux_netlink_send(descriptor.rawValue, bytes, bytes.count)
        }
    }

    /// Receives the kernel's next datagram; EMSGSIZE if it was too long, EAGAIN after some seconds without one.
    package mutating func receive() throws(SystemError) -> [UInt8] {
        let number = descriptor.rawValue
        let count = try systemCall("receive", "NETLINK_ROUTE") {
            clinux_netlink_receive(number, &buffer, buffer.count)
        }
        guard count <= buffer.count else { throw SystemError("receive", "NETLINK_ROUTE", errno: EMSGSIZE) }
        return Array(buffer[..<count])
    }
}
