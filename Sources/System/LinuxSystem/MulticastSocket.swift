// SPDX-License-Identifier: Apache-2.0

import Glibc

/// UDP sockets for IPv4 multicast (ip(7)), each for one link: packets of other links do not come in, and what is sent to
/// a group leaves by that link.
package enum MulticastSocket {
    /// A socket for what is sent to a port of a group on a link; other programs may listen there too.
    ///
    /// It is bound to the group itself, so that it takes no unicast packets away from other programs on the port.
    /// - Parameters:
    ///   - group: an IPv4 group, 224.0.0.251.
    ///   - link: the link's index and name.
    package static func receiver(
        group: IPAddress, port: UInt16, link: (index: Int32, name: String)
    ) throws(SystemError) -> FileDescriptor {
        let socket = try open(link)
        let subject = "\(group):\(port) on \(link.name)"
        // With this alone several programs share a UDP port. SO_REUSEPORT is for programs of one user only (socket(7)).
        try set(socket, SOL_SOCKET, SO_REUSEADDR, CInt(1), subject)
        var membership = ip_mreqn()
        membership.imr_multiaddr = address(group)
        membership.imr_ifindex = link.index
        try set(socket, CInt(IPPROTO_IP), IP_ADD_MEMBERSHIP, membership, subject)
        // Not what other sockets of the machine have joined.
        try set(socket, CInt(IPPROTO_IP), IP_MULTICAST_ALL, CInt(0), subject)
        var local = sockaddr_in()
        local.sin_family = sa_family_t(AF_INET)
        local.sin_port = port.bigEndian
        local.sin_addr = address(group)
        let number = socket.rawValue
        try systemCall("bind", subject) {
            withUnsafePointer(to: &local) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        return socket
    }

    /// A socket with a port of its own, to ask a group on a link and have the answers.
    package static func sender(link: (index: Int32, name: String)) throws(SystemError) -> FileDescriptor {
        let socket = try open(link)
        var local = sockaddr_in()
        local.sin_family = sa_family_t(AF_INET)
        let number = socket.rawValue
        try systemCall("bind", link.name) {
            withUnsafePointer(to: &local) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        return socket
    }

    private static func open(_ link: (index: Int32, name: String)) throws(SystemError) -> FileDescriptor {
        let type = CInt(SOCK_DGRAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue)
        let opened = FileDescriptor(owning: try systemCall("socket", "udp") { socket(AF_INET, type, 0) })
        let number = opened.rawValue
        let name = Array(link.name.utf8)
        try systemCall("setsockopt(SO_BINDTODEVICE)", link.name) {
            setsockopt(number, SOL_SOCKET, SO_BINDTODEVICE, name, socklen_t(name.count))
        }
        var outgoing = ip_mreqn()
        outgoing.imr_ifindex = link.index
        try set(opened, CInt(IPPROTO_IP), IP_MULTICAST_IF, outgoing, link.name)
        // RFC 6762, 11: answers are sent so, and so are queries.
        try set(opened, CInt(IPPROTO_IP), IP_MULTICAST_TTL, CInt(255), link.name)
        return opened
    }

    private static func set<Value: BitwiseCopyable>(
        _ socket: borrowing FileDescriptor, _ level: CInt, _ option: CInt, _ value: Value, _ subject: String
    ) throws(SystemError) {
        var value = value
        let number = socket.rawValue
        try systemCall("setsockopt(\(option))", subject) {
            setsockopt(number, level, option, &value, socklen_t(MemoryLayout<Value>.size))
        }
    }

    /// An IPv4 address as the C library has it; 0.0.0.0 for another.
    private static func address(_ address: IPAddress) -> in_addr {
        guard address.isV4 else { return in_addr() }
        let number = address.bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        return in_addr(s_addr: number.bigEndian)
    }
}
