// SPDX-License-Identifier: Apache-2.0

import CSystemd
package import LinuxSystem

/// A connection to a D-Bus peer through the operating system's libsystemd (sd-bus(3)), which speaks the protocol and checks
/// every message.
///
/// Calls block, so it belongs on a thread that may; it is not for two threads at the same time. Nothing runs while nothing
/// happens: whoever waits sleeps in poll(2).
package final class BusConnection {
    /// How long a peer may take to answer.
    package static let answerTimeout = Duration.seconds(25)
    /// Milliseconds between looks at a connection that is still being made.
    private static let handshakePause: Int32 = 1000

    private let bus: OpaquePointer

    private init(owning bus: OpaquePointer) { self.bus = bus }

    deinit { sd_bus_close_unref(bus) }

    /// Connects with the system bus: `DBUS_SYSTEM_BUS_ADDRESS`, or /run/dbus/system_bus_socket.
    package static func system() throws(BusError) -> BusConnection {
        var bus: OpaquePointer?
        try busCall("connecting with the system bus", sd_bus_open_system(&bus))
        guard let bus else { throw BusError("connecting with the system bus", name: "System.Error.EIO") }
        return BusConnection(owning: bus)
    }

    /// Connects with systemd's manager itself. Its own socket is there before the system bus and without it, and answers
    /// root only; it sends every signal of the manager, so it is for a moment, not for good.
    package static func serviceManager() throws(BusError) -> BusConnection {
        let attempt = "connecting with systemd"
        let number: CInt
        do {
            let socket = try Sockets.connect(to: "/run/systemd/private")
            // In another process namespace, numbers of processes would mean others to it (and its own is 0 here).
            number = try Sockets.peer(of: socket).pid == 1 ? socket.release() : -1
        } catch {
            throw BusError(attempt, result: -error.errno)
        }
        guard number >= 0 else {
            throw BusError(
                attempt, name: "System.Error.EXDEV", message: "it runs in another process namespace than this program")
        }
        return try peer(FileDescriptor(owning: number))
    }

    /// Speaks to a peer at the other end of a connected socket.
    package static func peer(_ socket: consuming FileDescriptor) throws(BusError) -> BusConnection {
        let number = socket.release()
        return try start("connecting with a peer") { sd_bus_set_fd($0, number, number) }
    }

    private static func start(
        _ attempt: String, _ prepare: (OpaquePointer) -> CInt
    ) throws(BusError) -> BusConnection {
        var bus: OpaquePointer?
        try busCall(attempt, sd_bus_new(&bus))
        guard let bus else { throw BusError(attempt, name: "System.Error.EIO") }
        let connection = BusConnection(owning: bus)
        try busCall(attempt, prepare(bus))
        try busCall(attempt, sd_bus_negotiate_fds(bus, 1))
        try busCall(attempt, sd_bus_start(bus))
        return connection
    }

    // MARK: Calls

    /// The object and interface of a call.
    package struct Target: Hashable, Sendable {
        let destination: String
        let path: String
        let interface: String

        package init(_ destination: String, _ path: String, _ interface: String) {
            self.destination = destination
            self.path = path
            self.interface = interface
        }
    }

    /// Calls a method and waits for its reply.
    ///
    /// - Parameter startsService: Whether the bus starts the service that the call is for if it does not run.
    /// - Throws: ``BusError`` with the peer's error, or what kept the call from being made or answered in time.
    @discardableResult
    package func call(
        _ target: Target, _ member: String, _ arguments: [BusValue] = [], startsService: Bool = true,
        timeout: Duration = answerTimeout
    ) throws(BusError) -> BusMessage {
        var request: OpaquePointer?
        try busCall(
            member,
            sd_bus_message_new_method_call(
                bus, &request, target.destination, target.path, target.interface, member))
        guard let request else { throw BusError(member, name: "System.Error.ENOMEM") }
        defer { sd_bus_message_unref(request) }
        if !startsService { try busCall(member, sd_bus_message_set_auto_start(request, 0)) }
        try MessageWriter(message: request).append(arguments)
        var error = sd_bus_error()
        var reply: OpaquePointer?
        let result = sd_bus_call(bus, request, Self.microseconds(timeout), &error, &reply)
        guard result >= 0, let reply else { throw BusError(member, error) }
        return BusMessage(owning: reply)
    }

    /// Reads a property (org.freedesktop.DBus.Properties).
    package func property(
        _ target: Target, _ name: String, startsService: Bool = true
    ) throws(BusError) -> BusValue {
        let properties = Target(target.destination, target.path, "org.freedesktop.DBus.Properties")
        let reply = try call(
            properties, "Get", [.string(target.interface), .string(name)], startsService: startsService)
        guard case .variant(let value)? = try reply.values().first else {
            throw BusError("reading \(name)", name: "System.Error.EBADMSG")
        }
        return value.unwrapped
    }

    private static func microseconds(_ duration: Duration) -> UInt64 {
        let (seconds, attoseconds) = duration.components
        return UInt64(max(0, seconds)) * 1_000_000 + UInt64(max(0, attoseconds) / 1_000_000_000_000)
    }

    // MARK: Signals

    /// Has the bus pass on the signals that a rule describes (D-Bus specification, "Match Rules").
    package func subscribe(_ rule: String) throws(BusError) {
        try call(
            Target("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus"), "AddMatch",
            [.string(rule)])
    }

    /// What ended a wait.
    package enum Arrival {
        case signal(BusMessage)
        /// The other descriptor became readable.
        case woken
        case timedOut
    }

    /// Waits for the next signal.
    ///
    /// - Parameters:
    ///   - wake: a descriptor that ends the wait when it becomes readable; nil for none.
    ///   - timeout: how long to wait; nil for ever.
    /// - Throws: ``BusError`` when the connection breaks.
    package func nextSignal(wake: CInt? = nil, timeout: Duration? = nil) throws(BusError) -> Arrival {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while true {
            var message: OpaquePointer?
            let didWork = try busCall("waiting for a signal", sd_bus_process(bus, &message))
            if let message {
                let arrived = BusMessage(owning: message)
                if arrived.isSignal { return .signal(arrived) }
                continue
            }
            if didWork > 0 { continue }
            let left = deadline.map { $0 - ContinuousClock.now }
            if let left, left <= .zero { return .timedOut }
            if try wait(wake: wake, left) { return .woken }
        }
    }

    /// Sleeps until the connection has something to do; true when it was the other descriptor.
    private func wait(wake: CInt?, _ left: Duration?) throws(BusError) -> Bool {
        let events = try busCall("waiting for a signal", sd_bus_get_events(bus))
        var entries = [
            Polling.Entry(
                try busCall("waiting for a signal", sd_bus_get_fd(bus)),
                PollEvents(rawValue: Int16(truncatingIfNeeded: events)))
        ]
        if let wake { entries.append(Polling.Entry(wake, .readable)) }
        var until: UInt64 = 0
        try busCall("waiting for a signal", sd_bus_get_timeout(bus, &until))
        // 0: there is work now. Other times are those of a connection in the making.
        if until == 0 { return false }
        var milliseconds: Int32? = until == .max ? nil : Self.handshakePause
        if let left { milliseconds = min(milliseconds ?? .max, Self.milliseconds(left)) }
        do {
            try Polling.wait(&entries, timeout: milliseconds)
        } catch {
            throw BusError("waiting for a signal", result: -error.errno)
        }
        return entries.count > 1 && !entries[1].result.isEmpty
    }

    private static func milliseconds(_ duration: Duration) -> Int32 {
        Int32(clamping: microseconds(duration) / 1000 + 1)
    }
}
