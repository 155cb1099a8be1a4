// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// What poll(2) waits for and reports.
package struct PollEvents: OptionSet, Sendable, Hashable {
    package let rawValue: Int16
    package init(rawValue: Int16) { self.rawValue = rawValue }

    package static let readable = PollEvents(rawValue: Int16(POLLIN))
    package static let writable = PollEvents(rawValue: Int16(POLLOUT))
    /// Reported only: the other end is closed.
    package static let hangUp = PollEvents(rawValue: Int16(POLLHUP))
    /// Reported only: an error, or the read end of a pipe is closed.
    package static let error = PollEvents(rawValue: Int16(POLLERR))
}

/// Waiting for descriptors.
package enum Polling {
    /// One descriptor of a poll.
    package struct Entry: Sendable {
        package let descriptor: CInt
        package let events: PollEvents
        /// What has happened.
        package var result: PollEvents = []

        package init(_ descriptor: CInt, _ events: PollEvents) {
            self.descriptor = descriptor
            self.events = events
        }
    }

    /// poll(2): waits at most `timeout` milliseconds (nil for ever), returns how many have something to report.
    @discardableResult
    package static func wait(_ entries: inout [Entry], timeout: Int32? = nil) throws(SystemError) -> Int {
        var raw = entries.map { pollfd(fd: $0.descriptor, events: $0.events.rawValue, revents: 0) }
        let count = try systemCall("poll") { poll(&raw, nfds_t(raw.count), timeout ?? -1) }
        for index in entries.indices { entries[index].result = PollEvents(rawValue: raw[index].revents) }
        return Int(count)
    }

    /// Waits for one descriptor; false when the time is over.
    package static func wait(
        _ descriptor: borrowing FileDescriptor, _ events: PollEvents, timeout: Int32? = nil
    ) throws(SystemError) -> Bool {
        var entries = [Entry(descriptor.rawValue, events)]
        return try wait(&entries, timeout: timeout) > 0
    }
}

/// Signals as file descriptors, and what a program does before it execs.
package enum Signals {
    package static let hangUp: Int32 = SIGHUP
    package static let interrupt: Int32 = SIGINT
    package static let quit: Int32 = SIGQUIT
    package static let kill: Int32 = SIGKILL
    package static let user1: Int32 = SIGUSR1
    package static let pipe: Int32 = SIGPIPE
    package static let terminate: Int32 = SIGTERM
    package static let child: Int32 = SIGCHLD
    package static let `continue`: Int32 = SIGCONT
    package static let stop: Int32 = SIGSTOP
    package static let windowChange: Int32 = SIGWINCH

    /// The names without `SIG` in the order of their numbers, from 1.
    package static let names = [
        "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM",
        "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF",
        "WINCH", "IO", "PWR", "SYS",
    ]

    /// The number of `TERM`, `SIGTERM`, `sigterm`, `RTMIN+3`, `RTMAX-1` or `15`; nil for anything else.
    package static func number(_ text: String) -> Int32? {
        if let number = Int32(text) { return (1...64).contains(number) ? number : nil }
        var name = Substring(text.uppercased())
        if name.hasPrefix("SIG") { name = name.dropFirst(3) }
        if let index = names.firstIndex(of: String(name)) { return Int32(index + 1) }
        for (prefix, base, sign) in [("RTMIN", 34 as Int32, 1 as Int32), ("RTMAX", 64, -1)] where name.hasPrefix(prefix)
        {
            let rest = name.dropFirst(prefix.count)
            if rest.isEmpty { return base }
            guard rest.first == (sign > 0 ? "+" : "-"), let offset = Int32(rest.dropFirst()) else { return nil }
            let number = base + sign * offset
            return (34...64).contains(number) ? number : nil
        }
        return nil
    }

    /// Blocks signals (all of them if empty), so that they arrive at a descriptor only.
    package static func block(_ signals: [Int32]) throws(SystemError) {
        let numbers = signals.map { UInt8($0) }
        try systemCall("sigprocmask") { clinux_block_signals(numbers, numbers.count) }
    }

    /// A descriptor that becomes readable when one of the signals (any, if empty) arrives; it does not block.
    package static func descriptor(_ signals: [Int32]) throws(SystemError) -> FileDescriptor {
        let numbers = signals.map { UInt8($0) }
        return FileDescriptor(
            owning: try systemCall("signalfd") { clinux_signalfd(-1, numbers, numbers.count) })
    }

    /// The next signal that arrived at such a descriptor; nil where there is none.
    package static func next(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> Int32? {
        let number = descriptor.rawValue
        var sender: Int32 = 0
        let signal = try systemCall("read", "signalfd") { clinux_read_signal(number, &sender) }
        return signal == 0 ? nil : signal
    }

    /// Gives every signal its default action and unblocks all.
    package static func reset() throws(SystemError) { try systemCall("sigprocmask") { clinux_reset_signals() } }

    /// Ignores a signal.
    package static func ignore(_ signal: Int32) throws(SystemError) {
        try systemCall("signal", "\(signal)") { clinux_ignore_signal(signal) }
    }
}

/// A one-shot monotonic timer as a descriptor, readable when it has run out.
package struct TimerDescriptor: ~Copyable, Sendable {
    package let descriptor: FileDescriptor

    package init() throws(SystemError) {
        descriptor = FileDescriptor(owning: try systemCall("timerfd_create") { clinux_timerfd() })
    }

    /// Starts the timer anew; 0 stops it.
    package func arm(milliseconds: Int) throws(SystemError) {
        let number = descriptor.rawValue
        try systemCall("timerfd_settime") { clinux_timerfd_set(number, Int64(milliseconds) * 1_000_000) }
    }

    /// Takes note that it ran out.
    package func acknowledge() {
        var count: UInt64 = 0
        // It is readable; a spurious wake-up reads nothing and changes nothing.
        _ = Glibc.read(descriptor.rawValue, &count, 8)
    }
}
