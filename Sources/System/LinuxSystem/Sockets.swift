// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// UNIX sockets and pipes; every descriptor is close-on-exec.
package enum Sockets {
    /// Kinds of UNIX sockets.
    package enum Kind: Sendable {
        case stream, packets, datagrams

        fileprivate var number: CInt {
            switch self {
            case .stream: CInt(SOCK_STREAM.rawValue)
            case .packets: CInt(SOCK_SEQPACKET.rawValue)
            case .datagrams: CInt(SOCK_DGRAM.rawValue)
            }
        }
    }

    /// socketpair(2).
    package static func pair(_ kind: Kind = .stream) throws(SystemError) -> DescriptorPair {
        var numbers: [CInt] = [-1, -1]
        let type = kind.number | CInt(SOCK_CLOEXEC.rawValue)
        try systemCall("socketpair") { socketpair(AF_UNIX, type, 0, &numbers) }
        return DescriptorPair(first: FileDescriptor(owning: numbers[0]), second: FileDescriptor(owning: numbers[1]))
    }

    /// pipe2(2): `first` is the end to read from.
    package static func pipe() throws(SystemError) -> DescriptorPair {
        var numbers: [CInt] = [-1, -1]
        try systemCall("pipe2") { clinux_pipe(&numbers) }
        return DescriptorPair(first: FileDescriptor(owning: numbers[0]), second: FileDescriptor(owning: numbers[1]))
    }

    /// A socket bound to a path, listening; an old socket there is replaced. Long paths go through their directory.
    package static func listen(
        at path: String, kind: Kind = .stream, permissions: UInt32 = 0o600, backlog: Int32 = 16
    ) throws(SystemError) -> FileDescriptor {
        let socket = try open(kind)
        let number = socket.rawValue
        try Files.remove(path)
        let mask = umask(0o777 & ~mode_t(permissions))
        defer { umask(mask) }
        try throughDirectory(path) { (short) throws(SystemError) in
            try systemCall("bind", path) { clinux_unix_bind(number, short) }
        }
        if kind != .datagrams { try systemCall("listen", path) { Glibc.listen(number, backlog) } }
        return socket
    }

    /// A socket connected to a path.
    package static func connect(to path: String, kind: Kind = .stream) throws(SystemError) -> FileDescriptor {
        let socket = try open(kind)
        let number = socket.rawValue
        try throughDirectory(path) { (short) throws(SystemError) in
            try systemCall("connect", path) { clinux_unix_connect(number, short) }
        }
        return socket
    }

    private static func open(_ kind: Kind) throws(SystemError) -> FileDescriptor {
        let type = kind.number | CInt(SOCK_CLOEXEC.rawValue)
        return FileDescriptor(owning: try systemCall("socket") { socket(AF_UNIX, type, 0) })
    }

    /// An address holds 107 bytes; longer paths are reached through their open directory in /proc.
    private static func throughDirectory(
        _ path: String, _ body: (String) throws(SystemError) -> Void
    ) throws(SystemError) {
        if path.utf8.count < 108 { return try body(path) }
        let directory = try FileDescriptor.open(Files.directory(of: path), [.path, .directory])
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        try body("\(directory.procPath)/\(name)")
    }

    /// accept4(2); nil where the socket does not block and nobody waits.
    package static func accept(_ socket: borrowing FileDescriptor) throws(SystemError) -> FileDescriptor? {
        let number = socket.rawValue
        do {
            return FileDescriptor(owning: try systemCall("accept") { clinux_accept(number) })
        } catch  where error.errno == EAGAIN || error.errno == ECONNABORTED {
            return nil
        }
    }

    /// The user at the other end of a UNIX socket.
    package static func peer(of socket: borrowing FileDescriptor) throws(SystemError) -> (pid: Int32, uid: UInt32) {
        let number = socket.rawValue
        var pid: pid_t = 0
        var uid: uid_t = 0
        var gid: gid_t = 0
        try systemCall("getsockopt(SO_PEERCRED)") { clinux_peer_credentials(number, &pid, &uid, &gid) }
        return (pid, uid)
    }

    /// Sends bytes with descriptors (SCM_RIGHTS; at most 16); the number of bytes that were taken.
    @discardableResult
    package static func send(
        _ bytes: [UInt8], descriptors: [CInt] = [], on socket: borrowing FileDescriptor
    ) throws(SystemError) -> Int {
        let number = socket.rawValue
        return try systemCall("sendmsg") {
            clinux_send_fds(number, bytes, bytes.count, descriptors, descriptors.count, 0)
        }
    }

    /// Sends bytes with descriptors on a socket that somebody else owns.
    package static func send(_ bytes: [UInt8], descriptors: [CInt], on socket: CInt) throws(SystemError) {
        try systemCall("sendmsg") {
            clinux_send_fds(socket, bytes, bytes.count, descriptors, descriptors.count, 0)
        }
    }

    /// Receives at most `limit` bytes, and descriptors into `descriptors`; empty at the end.
    package static func receive(
        limit: Int, descriptors: inout [CInt], on socket: borrowing FileDescriptor
    ) throws(SystemError) -> [UInt8] {
        let number = socket.rawValue
        var buffer = [UInt8](repeating: 0, count: limit)
        var received = [CInt](repeating: -1, count: 16)
        var count = received.count
        let size = try systemCall("recvmsg") {
            count = received.count
            return clinux_receive_fds(number, &buffer, limit, &received, &count, 0)
        }
        descriptors += received.prefix(count)
        return Array(buffer.prefix(size))
    }

    /// Receives at most `limit` bytes; empty at the end. Descriptors that come along are closed.
    package static func receive(limit: Int, on socket: borrowing FileDescriptor) throws(SystemError) -> [UInt8] {
        var descriptors: [CInt] = []
        let bytes = try receive(limit: limit, descriptors: &descriptors, on: socket)
        for number in descriptors { Glibc.close(number) }
        return bytes
    }
}

/// Two descriptors that belong together.
package struct DescriptorPair: ~Copyable, Sendable {
    package let first: FileDescriptor
    package let second: FileDescriptor

    package init(first: consuming FileDescriptor, second: consuming FileDescriptor) {
        self.first = first
        self.second = second
    }

    /// Keeps the first and closes the second.
    package consuming func takeFirst() -> FileDescriptor { first }
    /// Keeps the second and closes the first.
    package consuming func takeSecond() -> FileDescriptor { second }
}

extension FileDescriptor {
    /// One packet of at most `limit` bytes; empty at the end, EAGAIN where there is none.
    package static func readPacket(from number: CInt, limit: Int) throws(SystemError) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: limit)
        let count = try systemCall("recv") { recv(number, &buffer, limit, 0) }
        return Array(buffer.prefix(count))
    }
}
