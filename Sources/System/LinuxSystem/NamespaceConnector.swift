// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Connects to ports inside a network namespace.
package enum NamespaceConnector {
    /// A TCP socket connected to a port on the loopback address (IPv4, else IPv6) of a namespace; it blocks for a moment.
    ///
    /// - Parameter namespace: the namespace's file; nil for the caller's own.
    /// - Returns: a connected socket that the caller owns.
    package static func connect(port: UInt16, namespace: String?) throws(SystemError) -> CInt {
        do {
            return try connectIPv4(port, namespace)
        } catch  where error.errno == ECONNREFUSED {
            do { return try connectIPv6(port, namespace) } catch {
                throw SystemError("connect", "127.0.0.1:\(port)", errno: ECONNREFUSED)
            }
        }
    }

    private static func open(_ domain: CInt, _ namespace: String?) throws(SystemError) -> FileDescriptor {
        let type = CInt(SOCK_STREAM.rawValue)
        return FileDescriptor(
            owning: try systemCall("socket", namespace ?? "") {
                guard let namespace else { return socket(domain, type | CInt(SOCK_CLOEXEC.rawValue), 0) }
                return clinux_socket_in_namespace(namespace, domain, type)
            })
    }

    private static func connectIPv4(_ port: UInt16, _ namespace: String?) throws(SystemError) -> CInt {
        let socket = try open(AF_INET, namespace)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        let number = socket.rawValue
        try systemCall("connect", "127.0.0.1:\(port)") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        return socket.release()
    }

    private static func connectIPv6(_ port: UInt16, _ namespace: String?) throws(SystemError) -> CInt {
        let socket = try open(AF_INET6, namespace)
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = port.bigEndian
        address.sin6_addr = in6addr_loopback
        let number = socket.rawValue
        try systemCall("connect", "[::1]:\(port)") {
            withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(number, $0, socklen_t(MemoryLayout<sockaddr_in6>.size))
                }
            }
        }
        return socket.release()
    }
}
