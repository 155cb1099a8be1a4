// SPDX-License-Identifier: Apache-2.0

import CSystemd
import LinuxSystem

/// Tells the service manager about this process's state (sd_notify(3)).
///
/// Without a service manager (`NOTIFY_SOCKET` is not set) every call does nothing. A notification that cannot be sent is
/// reported by `false` and no reason to stop: the service manager acts on its own time-outs.
package enum ServiceNotifier: Sendable {
    /// What can be told.
    package enum State: Hashable, Sendable {
        /// Start-up is complete: the unit becomes active.
        case ready
        /// The configuration is being reloaded; ``ready`` must follow. The time is CLOCK_MONOTONIC in microseconds.
        case reloading(monotonicMicroseconds: UInt64)
        /// The process is shutting down.
        case stopping
        /// One line for `systemctl status`.
        case status(String)
        /// The process is alive.
        case watchdog
        /// The process that the service manager shall watch.
        case mainProcess(Int32)
        /// More time for the current start, stop or reload, in microseconds.
        case extendTimeout(microseconds: UInt64)

        /// The assignment in the protocol's text form, without line ends.
        var assignment: String {
            switch self {
            case .ready: "READY=1"
            case .reloading(let time): "RELOADING=1\nMONOTONIC_USEC=\(time)"
            case .stopping: "STOPPING=1"
            case .status(let text): "STATUS=" + String(text.map { $0.isNewline ? " " : $0 })
            case .watchdog: "WATCHDOG=1"
            case .mainProcess(let process): "MAINPID=\(process)"
            case .extendTimeout(let time): "EXTEND_TIMEOUT_USEC=\(time)"
            }
        }
    }

    /// Sends states in one datagram; whether a service manager got it.
    @discardableResult
    package static func notify(_ states: State...) -> Bool {
        sd_notify(0, states.map(\.assignment).joined(separator: "\n")) > 0
    }

    /// The time within which ``State/watchdog`` must be sent again, in microseconds; nil where nobody watches.
    ///
    /// Send it at half of this interval (sd_watchdog_enabled(3)).
    package static var watchdogMicroseconds: UInt64? {
        var interval: UInt64 = 0
        return sd_watchdog_enabled(0, &interval) > 0 ? interval : nil
    }

    /// Whether the machine was booted with systemd (sd_booted(3)).
    package static var isSystemdRunning: Bool { sd_booted() > 0 }
}

/// A socket that the service manager opened for this process.
package struct ListenSocket: Hashable, Sendable {
    /// The open descriptor; the caller owns it and closes it.
    package let descriptor: Int32
    /// `FileDescriptorName=` of the socket unit, `unknown` where there is none.
    package let name: String

    /// Takes the sockets that were passed (sd_listen_fds_with_names(3)); a second call finds none.
    ///
    /// - Throws: nothing; a broken environment counts as no sockets.
    package static func take() -> [ListenSocket] {
        var names: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?
        let count = sd_listen_fds_with_names(1, &names)
        guard count > 0, let names else { return [] }
        var sockets: [ListenSocket] = []
        for index in 0..<Int(count) {
            let name = names[index].map { String(cString: $0) } ?? "unknown"
            // Descriptors are passed from 3 on (SD_LISTEN_FDS_START).
            sockets.append(ListenSocket(descriptor: 3 + Int32(index), name: name))
            freeCMemory(names[index])
        }
        freeCMemory(UnsafeMutableRawPointer(names))
        return sockets
    }
}
