// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import NIOCore
import Synchronization

/// Lets several tasks write to a byte stream, which takes one writer at a time: in the order in which they came.
final class WriteLane: Sendable {
    private struct State {
        var isBusy = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let stream: any DuplexByteStream
    private let state = Mutex(State())

    init(_ stream: any DuplexByteStream) { self.stream = stream }

    func write(_ bytes: [UInt8]) async throws {
        await enter()
        defer { leave() }
        try await stream.write(ByteBuffer(bytes: bytes))
    }

    /// Ends our direction after what is being written.
    func close() async {
        await enter()
        defer { leave() }
        await stream.close()
    }

    private func enter() async {
        await withCheckedContinuation { continuation in
            let mayEnter = state.withLock { state in
                if state.isBusy {
                    state.waiters.append(continuation)
                    return false
                }
                state.isBusy = true
                return true
            }
            if mayEnter { continuation.resume() }
        }
    }

    private func leave() {
        let next = state.withLock { state -> CheckedContinuation<Void, Never>? in
            if state.waiters.isEmpty {
                state.isBusy = false
                return nil
            }
            return state.waiters.removeFirst()
        }
        next?.resume()
    }
}
