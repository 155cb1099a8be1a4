// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// A queue from producers to one consumer that makes producers wait while it is full.
///
/// Each producer has at most one element beyond the limit in it: the one that it waits with.
final class BoundedChannel<Element: Sendable>: Sendable {
    private struct State {
        var elements: [Element] = []
        var isFinished = false
        var consumer: CheckedContinuation<Element?, Never>?
        /// Who waits for room, the first to wait first.
        var producers: [(id: UInt64, continuation: CheckedContinuation<Void, Never>)] = []
        var lastProducer: UInt64 = 0
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: The elements that wait at most.
    init(limit: Int) { self.limit = limit }

    /// Appends an element unless the queue is full or at its end: for signals, of which one is as good as two.
    func offer(_ element: Element) {
        let consumer = state.withLock { state -> CheckedContinuation<Element?, Never>? in
            if state.isFinished { return nil }
            if let consumer = state.consumer {
                state.consumer = nil
                return consumer
            }
            if state.elements.count < limit { state.elements.append(element) }
            return nil
        }
        consumer?.resume(returning: element)
    }

    /// Appends an element, waiting while the queue is full; false if nobody will read it any more.
    @discardableResult
    func send(_ element: Element) async -> Bool {
        let (waiter, isFinished, isFull) = state.withLock {
            state -> (CheckedContinuation<Element?, Never>?, Bool, Bool) in
            if state.isFinished { return (nil, true, false) }
            if let consumer = state.consumer {
                state.consumer = nil
                return (consumer, false, false)
            }
            state.elements.append(element)
            return (nil, false, state.elements.count >= limit)
        }
        waiter?.resume(returning: element)
        if isFull { await waitForRoom() }
        return !isFinished
    }

    private func waitForRoom() async {
        let id = state.withLock { state in
            state.lastProducer += 1
            return state.lastProducer
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let goOn = state.withLock { state in
                    if state.isFinished || state.elements.count < limit || Task.isCancelled { return true }
                    state.producers.append((id, continuation))
                    return false
                }
                if goOn { continuation.resume() }
            }
        } onCancel: {
            state.withLock { state in
                state.producers.firstIndex { $0.id == id }.map { state.producers.remove(at: $0).continuation }
            }?.resume()
        }
    }

    /// The next element; nil after the last, or when the task is cancelled.
    func receive() async -> Element? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (answer, producer) = state.withLock { state -> (Element??, CheckedContinuation<Void, Never>?) in
                    if !state.elements.isEmpty {
                        let element = state.elements.removeFirst()
                        let producer = state.producers.isEmpty ? nil : state.producers.removeFirst().continuation
                        return (.some(element), producer)
                    }
                    if state.isFinished || Task.isCancelled { return (.some(nil), nil) }
                    state.consumer = continuation
                    return (nil, nil)
                }
                producer?.resume()
                if let answer { continuation.resume(returning: answer) }
            }
        } onCancel: {
            state.withLock { state in
                defer { state.consumer = nil }
                return state.consumer
            }?.resume(returning: nil)
        }
    }

    /// Ends the queue: what waits is still handed out.
    func finish() {
        let (consumer, producers) = state.withLock { state in
            state.isFinished = true
            defer {
                state.consumer = nil
                state.producers = []
            }
            return (state.consumer, state.producers)
        }
        consumer?.resume(returning: nil)
        for producer in producers { producer.continuation.resume() }
    }
}
