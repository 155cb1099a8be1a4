// SPDX-License-Identifier: Apache-2.0

/// One suspended caller, resumed once: by what it waits for or by the cancellation of its task.
///
/// All of it is called on one event loop, which orders a cancellation that comes before the suspension.
final class Waiter<Value: Sendable>: @unchecked Sendable {
    private var continuation: CheckedContinuation<Value, any Error>?
    private var isCancelled = false

    /// Whether the caller is still there to be resumed.
    var isWaiting: Bool { continuation != nil }

    func suspend(_ continuation: CheckedContinuation<Value, any Error>) {
        if isCancelled {
            continuation.resume(throwing: CancellationError())
        } else {
            self.continuation = continuation
        }
    }

    func resume(returning value: Value) {
        let continuation = continuation
        self.continuation = nil
        continuation?.resume(returning: value)
    }

    func resume(throwing error: any Error) {
        let continuation = continuation
        self.continuation = nil
        continuation?.resume(throwing: error)
    }

    func cancel() {
        isCancelled = true
        resume(throwing: CancellationError())
    }
}
