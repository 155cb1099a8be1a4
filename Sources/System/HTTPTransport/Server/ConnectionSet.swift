// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization

/// A server's listening sockets and open connections.
final class ConnectionSet: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var connections: [ObjectIdentifier: any Channel] = [:]
        var isStopping = false
        var whenStopping: CheckedContinuation<Void, Never>?
        var whenEmpty: CheckedContinuation<Void, Never>?
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) { self.limit = limit }

    /// Adds a listening socket; false when the server stops.
    func addListener(_ channel: any Channel) -> Bool {
        state.withLock { state in
            guard !state.isStopping else { return false }
            state.listeners.append(channel)
            return true
        }
    }

    /// Adds a connection until it closes; false when there are too many or the server stops.
    func add(_ channel: any Channel) -> Bool {
        let isAdded = state.withLock { state in
            guard !state.isStopping, state.connections.count < limit else { return false }
            state.connections[ObjectIdentifier(channel)] = channel
            return true
        }
        if isAdded { channel.closeFuture.whenComplete { [self] _ in remove(channel) } }
        return isAdded
    }

    private func remove(_ channel: any Channel) {
        let empty = state.withLock { state -> CheckedContinuation<Void, Never>? in
            state.connections[ObjectIdentifier(channel)] = nil
            guard state.connections.isEmpty else { return nil }
            defer { state.whenEmpty = nil }
            return state.whenEmpty
        }
        empty?.resume()
    }

    /// Closes the listening sockets and asks every connection to end; idempotent.
    func stop() {
        let (listeners, connections, waiting) = state.withLock { state in
            defer {
                state.isStopping = true
                state.listeners = []
                state.whenStopping = nil
            }
            return (state.listeners, Array(state.connections.values), state.whenStopping)
        }
        for listener in listeners { listener.close(promise: nil) }
        for connection in connections {
            connection.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
        waiting?.resume()
    }

    func waitUntilStopping() async {
        await withCheckedContinuation { continuation in
            let isStopping = state.withLock { state in
                if !state.isStopping { state.whenStopping = continuation }
                return state.isStopping
            }
            if isStopping { continuation.resume() }
        }
    }

    /// Waits for the connections to end; closes those that are left after `grace`.
    func waitUntilEmpty(grace: TimeAmount, on loop: any EventLoop) async {
        let timer = loop.scheduleTask(in: grace) { [self] in
            for channel in state.withLock({ Array($0.connections.values) }) { channel.close(promise: nil) }
        }
        await withCheckedContinuation { continuation in
            let isEmpty = state.withLock { state in
                if !state.connections.isEmpty { state.whenEmpty = continuation }
                return state.connections.isEmpty
            }
            if isEmpty { continuation.resume() }
        }
        timer.cancel()
    }
}
