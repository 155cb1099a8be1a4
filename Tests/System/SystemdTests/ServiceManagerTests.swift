// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import LinuxSystem
import Logging
import Testing

@testable import Systemd

/// A datagram socket in the place of the service manager's or journald's.
private struct DatagramReceiver: ~Copyable {
    let descriptor: CInt

    init(path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0)
        var timeout = timeval(tv_sec: 5, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(descriptor) }

    func receive() throws -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        try #require(count > 0, "nothing arrived")
        return Array(buffer[..<count])
    }
}

@Suite(.serialized) struct ServiceManagerTests {
    @Test func statesReachTheServiceManager() throws {
        let path = "/tmp/notify-\(UUID().uuidString)"
        let manager = try DatagramReceiver(path: path)
        defer { unlink(path) }
        #expect(!ServiceNotifier.notify(.ready))
        setenv("NOTIFY_SOCKET", path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        #expect(ServiceNotifier.notify(.ready, .status("Node is Ready\nand more"), .mainProcess(77)))
        #expect(
            String(decoding: try manager.receive(), as: UTF8.self)
                == "READY=1\nSTATUS=Node is Ready and more\nMAINPID=77")
        #expect(ServiceNotifier.notify(.reloading(monotonicMicroseconds: 5)))
        #expect(String(decoding: try manager.receive(), as: UTF8.self) == "RELOADING=1\nMONOTONIC_USEC=5")
        for (state, text) in [
            (ServiceNotifier.State.stopping, "STOPPING=1"), (.watchdog, "WATCHDOG=1"),
            (.extendTimeout(microseconds: 9), "EXTEND_TIMEOUT_USEC=9"),
        ] {
            #expect(ServiceNotifier.notify(state))
            #expect(String(decoding: try manager.receive(), as: UTF8.self) == text)
        }
    }

    @Test func theWatchdogIntervalIsTheServiceManagers() {
        #expect(ServiceNotifier.watchdogMicroseconds == nil)
        setenv("WATCHDOG_USEC", "30000000", 1)
        defer { unsetenv("WATCHDOG_USEC") }
        #expect(ServiceNotifier.watchdogMicroseconds == 30_000_000)
        setenv("WATCHDOG_PID", "1", 1)
        defer { unsetenv("WATCHDOG_PID") }
        #expect(ServiceNotifier.watchdogMicroseconds == nil)
    }

    @Test func withoutPassedSocketsThereAreNone() {
        #expect(ListenSocket.take().isEmpty)
        // Meant for another process.
        setenv("LISTEN_PID", "1", 1)
        setenv("LISTEN_FDS", "1", 1)
        #expect(ListenSocket.take().isEmpty)
    }

    /// journald's native protocol: `NAME=value` lines, or the name, a 64-bit length and the bytes.
    @Test func eventsReachJournald() throws {
        let logger = Logger(label: "kubelet") { JournalLogHandler(label: $0, logLevel: .info) }
        let datagram = try NetworkNamespace.runInNew(mounts: true) {
            try #require(mount("none", "/run", "tmpfs", 0, nil) == 0)
            try FileManager.default.createDirectory(
                atPath: "/run/systemd/journal", withIntermediateDirectories: true)
            let journal = try DatagramReceiver(path: "/run/systemd/journal/socket")
            logger.debug("not sent")
            logger.error("Pod\nfailed", metadata: ["pod": "default/web"])
            return try journal.receive()
        }
        let text = String(decoding: datagram, as: UTF8.self)
        for expected in [
            "PRIORITY=3\n", "SYSLOG_IDENTIFIER=swiftlet\n", "SWIFTLET_POD=default/web\n", "SWIFTLET_LOGGER=kubelet\n",
            "CODE_FUNC=eventsReachJournald()\n", "CODE_FILE=",
        ] {
            #expect(text.contains(expected), "\(expected)")
        }
        let message = Array("Pod\nfailed pod=default/web".utf8)
        let framed = Array("MESSAGE\n".utf8) + [UInt8(message.count), 0, 0, 0, 0, 0, 0, 0] + message
        #expect(datagram.firstRange(of: framed) != nil)
    }
}
