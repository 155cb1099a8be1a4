// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
import Synchronization

/// Has the machine's shutdown wait: holds a delaying inhibitor lock of the login manager and tells when it begins
/// (org.freedesktop.login1(5), "Inhibition").
package final class ShutdownDelay: Sendable {
    /// What its user is told.
    package enum Event: Sendable, Hashable {
        /// Shutdowns wait from now on, this long at most.
        case armed(Duration)
        /// The machine is about to go down and waits for ``ShutdownDelay/release()``.
        case begins
        /// It does not go down after all.
        case cancelled
        /// Nothing holds a shutdown up, and why.
        case unavailable(String)
    }

    /// Whose lock it is, and what for.
    package struct Purpose: Sendable, Hashable {
        /// Shown by `systemd-inhibit --list`.
        package var who: String
        package var why: String
        /// The time that is wanted.
        package var time: Duration
        /// Where the login manager is told to allow that much, if it allows less: in memory, so that a boot forgets it.
        package var dropIn: String

        package init(who: String, why: String, time: Duration, dropIn: String = ShutdownDelay.dropIn) {
            self.who = who
            self.why = why
            self.time = time
            self.dropIn = dropIn
        }
    }

    /// The usual place of the setting.
    package static let dropIn = "/run/systemd/logind.conf.d/90-swiftlet.conf"

    private static let login = BusConnection.Target(
        "org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")
    private static let unit = "systemd-logind.service"
    /// How often, and with which pauses in milliseconds, the login manager is asked whether it has read its setting.
    private static let readings = 40
    private static let readingPause = 50

    private let purpose: Purpose
    private let lock = Mutex<CInt?>(nil)
    private let wakeReader: FileDescriptor
    private let wakeWriter: FileDescriptor

    package init(_ purpose: Purpose) throws(SystemError) {
        self.purpose = purpose
        let pair = try Sockets.pipe()
        wakeReader = try pair.first.duplicated()
        wakeWriter = try pair.second.duplicated()
    }

    deinit { release() }

    /// Lets the shutdown go on, as far as it waits for this lock.
    package func release() { replaceLock(nil) }

    private func replaceLock(_ new: CInt?) {
        let old = lock.withLock { lock in
            defer { lock = new }
            return lock
        }
        if let old { FileDescriptor(owning: old).close() }
    }

    /// Has ``follow(_:)`` return, now or as soon as it is called.
    package func stop() {
        // A full pipe wakes as well as one more byte.
        try? wakeWriter.writeAll([0])
    }

    /// Follows the login manager; blocks, and costs nothing while nothing happens. Returns after ``stop()``.
    ///
    /// - Throws: ``BusError`` when there is no system bus, or the connection breaks. The lock is held on: the login manager
    ///   may be well.
    package func follow(_ tell: (Event) -> Void) throws(BusError) {
        let connection = try BusConnection.system()
        try connection.subscribe(
            "type='signal',sender='\(Self.login.destination)',path='\(Self.login.path)',"
                + "interface='\(Self.login.interface)',member='PrepareForShutdown'")
        try connection.subscribe(
            "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                + "member='NameOwnerChanged',arg0='\(Self.login.destination)'")
        var machine = ShutdownDelayMachine()
        try carryOut(machine.handle(.appeared), &machine, connection, tell)
        while case .signal(let signal) = try connection.nextSignal(wake: wakeReader.rawValue) {
            guard let input = try Self.input(of: signal) else { continue }
            try carryOut(machine.handle(input), &machine, connection, tell)
        }
    }

    /// What a signal says; nil for one that matters nothing.
    static func input(of signal: BusMessage) throws(BusError) -> ShutdownDelayMachine.Input? {
        let values = try signal.values()
        switch (signal.interface, signal.member) {
        case (login.interface, "PrepareForShutdown"): return values.first?.flag.map { .preparing($0) }
        case ("org.freedesktop.DBus", "NameOwnerChanged"):
            // The name, its old owner and its new one.
            guard values.count == 3, values[0].text == login.destination, values[2].text != "" else { return nil }
            return .appeared
        default: return nil
        }
    }

    private func carryOut(
        _ outputs: [ShutdownDelayMachine.Output], _ machine: inout ShutdownDelayMachine, _ connection: BusConnection,
        _ tell: (Event) -> Void
    ) throws(BusError) {
        for output in outputs {
            switch output {
            case .tell(let event): tell(event)
            case .takeLock:
                let answer: ShutdownDelayMachine.Input
                do {
                    answer = .locked(delay: try takeLock(connection))
                } catch {
                    answer = .refused(name: error.name, why: "\(error)")
                }
                // It asks for no lock again.
                for case .tell(let event) in machine.handle(answer) { tell(event) }
            }
        }
    }

    /// Takes the lock, and gives the time that the login manager allows.
    private func takeLock(_ connection: BusConnection) throws(BusError) -> Duration {
        // One that does not run is told of when it appears; it must not be started for this.
        let allowed = try allowedTime(connection)
        let reply = try connection.call(
            Self.login, "Inhibit", ["shutdown", purpose.who, purpose.why, "delay"].map { .string($0) },
            startsService: false)
        replaceLock(try reply.takeDescriptor().release())
        return allowed
    }

    private func allowedTime(_ connection: BusConnection) throws(BusError) -> Duration {
        var allowed = try readAllowedTime(connection)
        if allowed >= purpose.time { return allowed }
        guard requestTime() else { return allowed }
        for _ in 0..<Self.readings where allowed < purpose.time {
            Processes.sleep(milliseconds: Self.readingPause)
            allowed = try readAllowedTime(connection)
        }
        return allowed
    }

    private func readAllowedTime(_ connection: BusConnection) throws(BusError) -> Duration {
        let value = try connection.property(Self.login, "InhibitDelayMaxUSec", startsService: false)
        return .microseconds(Int64(clamping: value.uint64 ?? 0))
    }

    /// Writes the setting and has the login manager read it; false if that cannot be done, which its user sees by the time
    /// that is allowed.
    private func requestTime() -> Bool {
        guard ServiceManager.isReachable else { return false }
        do {
            try Files.makeDirectories(Files.directory(of: purpose.dropIn))
            let text = "[Login]\nInhibitDelayMaxSec=\(purpose.time.components.seconds + 1)\n"
            try Files.replace(purpose.dropIn, with: Array(text.utf8), durable: false)
            try ServiceManager.signal(Self.unit, Signals.hangUp)
            return true
        } catch {
            return false
        }
    }

    /// Takes back what a ``ShutdownDelay`` asked of the login manager.
    package static func forgetTime(dropIn: String = dropIn) throws {
        guard try Files.remove(dropIn) else { return }
        let directory = Files.directory(of: dropIn)
        if try Files.names(in: directory).isEmpty { try Files.removeDirectory(directory) }
        // Without a login manager there is none to tell.
        try? ServiceManager.signal(unit, Signals.hangUp)
    }
}
