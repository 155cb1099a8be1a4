// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Systemd

/// What the watchdog concludes from the marks of progress that it sees, one for each look.
package struct WatchdogMachine: Sendable, Hashable {
    /// Looks in a row that may see no progress before the agent counts as stuck.
    package static let patience = 2

    private var last: String?
    private var looksWithoutProgress = 0

    package init() {}

    /// Takes the mark of a look, nil where there is none to be had; whether the agent is alive.
    package mutating func isAlive(seeing mark: String?) -> Bool {
        guard let mark, mark == last else {
            // Without a mark (the API of another machine may be away) there is nothing to compare.
            last = mark
            looksWithoutProgress = 0
            return true
        }
        looksWithoutProgress += 1
        return looksWithoutProgress < Self.patience
    }
}

/// Feeds the service manager's watchdog (`WatchdogSec=`), but only while the agent really works.
///
/// A look asks every event loop for an answer and takes a mark of progress: the version of the node's lease, which the
/// kubelet renews every ten seconds through the API and the store. A look that never ends feeds nothing either, so a
/// deadlock anywhere on that way lets the service manager start the agent anew; containers go on meanwhile.
struct Watchdog: Sendable {
    /// Looks within the service manager's interval: more than two, so that one that is late does no harm.
    private static let looksPerInterval = 4

    let eventLoops: any EventLoopGroup
    let logger: Logger
    /// The mark of progress; nil where it cannot be had for reasons outside of this machine.
    let progress: @Sendable () async throws -> String?

    /// Whether a service manager watches.
    static var isWanted: Bool { ServiceNotifier.watchdogMicroseconds != nil }

    /// Runs until it is cancelled; returns at once where nobody watches.
    func run() async throws {
        guard let interval = ServiceNotifier.watchdogMicroseconds else { return }
        let pause = Duration.microseconds(Int64(interval) / Int64(Self.looksPerInterval))
        var machine = WatchdogMachine()
        while true {
            if await look(&machine) { ServiceNotifier.notify(.watchdog) }
            try await Task.sleep(for: pause)
        }
    }

    private func look(_ machine: inout WatchdogMachine) async -> Bool {
        do {
            for loop in eventLoops.makeIterator() { try await loop.submit {}.get() }
            if machine.isAlive(seeing: try await progress()) { return true }
            logger.critical("The node's lease is not renewed: the watchdog is fed no more")
        } catch {
            logger.critical(
                "The agent does not answer itself: the watchdog is not fed", metadata: ["error": "\(error)"])
        }
        return false
    }
}
