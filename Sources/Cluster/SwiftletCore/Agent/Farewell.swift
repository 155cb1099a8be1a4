// SPDX-License-Identifier: Apache-2.0

import Kubelet
import Logging
import NIOPosix
import Synchronization
import SystemBus
import Systemd

/// What is done before the agent ends with the machine, where nothing was done before: no login manager held the shutdown up,
/// or it was told not to wait.
final class Farewell: Sendable {
    /// What the agent needs for its own end, beside the pods' time.
    private static let margin = Duration.seconds(30)

    private let handler = Mutex<(@Sendable () async -> Void)?>(nil)
    private let time: Duration
    private let logger: Logger

    /// - Parameter time: how long pods may take to end.
    init(time: Duration, logger: Logger) {
        self.time = time
        self.logger = logger
    }

    /// The kubelet whose pods end; an earlier one is forgotten.
    func set(_ kubelet: Kubelet) {
        let time = time
        handler.withLock { $0 = { await kubelet.prepareForShutdown(within: time) } }
    }

    /// Ends the pods if the machine is going down; an agent that ends by itself leaves them.
    func say() async {
        guard time > .zero, let handler = handler.withLock({ $0 }), await machineGoesDown() else { return }
        ServiceNotifier.notify(
            .extendTimeout(microseconds: UInt64((time + Self.margin).components.seconds) * 1_000_000))
        await handler()
    }

    private func machineGoesDown() async -> Bool {
        do {
            return try await NIOThreadPool.singleton.runIfActive {
                ServiceManager.isReachable ? try ServiceManager.state() == "stopping" : false
            }
        } catch {
            logger.info("Whether the machine goes down is not known", metadata: ["error": "\(error)"])
            return false
        }
    }
}
