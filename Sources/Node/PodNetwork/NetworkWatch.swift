// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
package import LinuxSystem
package import Logging
import NIOCore
import NIOPosix

/// Tells when something of this machine's network has changed; nothing runs while nothing changes.
package struct NetworkWatch: Sendable {
    private enum Work: Hashable, Sendable { case change }

    private let subject: NetlinkChannel.Subject
    private let logger: Logger
    private let settlingTime: Duration
    private let changed: @Sendable () async throws -> Void

    /// - Parameters:
    ///   - subject: What is listened to.
    ///   - settlingTime: How long changes are gathered, since they come in groups.
    ///   - changed: Called once in the beginning, then after changes; what it throws is tried again with growing waits.
    package init(
        _ subject: NetlinkChannel.Subject, logger: Logger, settlingTime: Duration = .seconds(1),
        changed: @escaping @Sendable () async throws -> Void
    ) {
        self.subject = subject
        self.logger = logger
        self.settlingTime = settlingTime
        self.changed = changed
    }

    /// Watches the network namespace of the process until the task is cancelled.
    package func run() async throws {
        let queue = WorkQueue<Work>(shortestDelay: .milliseconds(200), longestDelay: .seconds(60))
        let controller = Controller("network-watch", workers: 1, queue: queue, logger: logger) { [changed] _ in
            try await changed()
            return nil
        }
        let descriptor = try NetlinkChannel.subscribe(to: subject).release()
        let channel = try await NIOPipeBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .takingOwnershipOfDescriptor(input: descriptor) { [settlingTime] channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        ChangeHandler { queue.add(.change, after: settlingTime) })
                    return channel
                }
            }
        defer { channel.close(promise: nil) }
        queue.add(.change)
        try await controller.run()
    }
}

/// Takes every datagram as the news that something changed.
private final class ChangeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let changed: () -> Void

    init(_ changed: @escaping () -> Void) { self.changed = changed }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { changed() }
}
