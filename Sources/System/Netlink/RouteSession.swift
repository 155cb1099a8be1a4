// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
import Synchronization

/// A conversation with the kernel about links, addresses, routes and neighbours of one network namespace (rtnetlink(7)).
///
/// Threads may share it: requests are made one after the other. Each is a few system calls that do not wait for anything
/// but the kernel's own lock.
package final class RouteSession: Sendable {
    /// How often a dump is asked for again when the tables change meanwhile.
    private static let dumpAttempts = 16

    private struct State: ~Copyable {
        var channel: NetlinkChannel
        var sequence: UInt32 = 0
    }

    private let state: Mutex<State>

    /// Opens a session in the calling thread's network namespace.
    package convenience init() throws(SystemError) { self.init(try NetlinkChannel()) }

    /// Opens a session in the network namespace that `path` pins.
    package convenience init(namespace path: String) throws(SystemError) {
        self.init(try NetlinkChannel(namespace: path))
    }

    /// Takes over an open channel.
    package init(_ channel: consuming NetlinkChannel) {
        state = Mutex(State(channel: channel))
    }

    /// Makes a request and returns the messages of the answer.
    ///
    /// - Parameters:
    ///   - operation: what an error says was attempted.
    ///   - subject: what it was attempted on.
    @discardableResult
    func request(_ message: Message, _ operation: String, _ subject: String) throws -> [Reply] {
        for _ in 0..<Self.dumpAttempts {
            var assembler = ReplyAssembler(sequence: 0)
            let progress = try state.withLock { (state) throws in
                state.sequence &+= 1
                assembler = ReplyAssembler(sequence: state.sequence)
                try state.channel.send(message.finished(sequence: state.sequence))
                while true {
                    let progress = assembler.consume(try state.channel.receive())
                    if progress != .incomplete { return progress }
                }
            }
            switch progress {
            case .complete: return assembler.replies
            case .refused(let errno, let explanation):
                throw NetlinkError(operation, subject, errno: errno, explanation: explanation)
            case .interrupted, .incomplete: continue
            }
        }
        throw NetlinkError(
            operation, subject, errno: NetlinkError.tryAgain,
            explanation: "the tables changed during each of \(Self.dumpAttempts) attempts")
    }
}
