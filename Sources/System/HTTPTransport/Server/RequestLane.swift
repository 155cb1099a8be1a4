// SPDX-License-Identifier: Apache-2.0

/// The way of requests from event loops into the server's task tree.
struct RequestLane: Sendable {
    private let exchanges: AsyncStream<Exchange>
    private let entrance: AsyncStream<Exchange>.Continuation
    /// Where the requests' tasks run; nil for Swift's concurrent pool.
    private let executor: EventLoopTaskExecutor?

    init(capacity: Int, executor: EventLoopTaskExecutor?) {
        (exchanges, entrance) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(capacity))
        self.executor = executor
    }

    /// Hands over a request; false when too many wait already or the server has stopped.
    func submit(_ exchange: Exchange) -> Bool {
        if case .enqueued = entrance.yield(exchange) { true } else { false }
    }

    func finish() { entrance.finish() }

    /// Works on requests, one task for each, until ``finish()``.
    func run(_ handler: any HTTPHandler) async {
        await withTaskExecutorPreference(executor) {
            await withDiscardingTaskGroup { group in
                for await exchange in exchanges {
                    group.addTask { await exchange.run(handler) }
                }
            }
        }
    }
}
