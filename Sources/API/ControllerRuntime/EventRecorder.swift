// SPDX-License-Identifier: Apache-2.0

import DequeModule
import JSON
package import KubeAPI
package import KubeClient
package import Logging
import OrderedCollections
import Synchronization

/// Writes Event objects about what happens to an object, for `kubectl describe`.
///
/// Recording never waits and never fails: events go through a bounded queue to ``run()``. Repetitions of an event are
/// counted in one object, and a source that floods is cut to one event per object and ``refill`` once its burst is
/// spent, as client-go's event correlator does.
package final class EventRecorder: Sendable {
    /// Events that wait to be sent; more are dropped.
    package static let queueLimit = 512
    /// Distinct events, and distinct objects, that are remembered for counting.
    package static let memoryLimit = 1024
    /// Events that one object may cause at once.
    package static let burst = 25
    /// The time after which an object may cause one more event.
    package static let refill = Duration.seconds(300)

    package enum EventType: String, Sendable, Hashable {
        case normal = "Normal"
        case warning = "Warning"
    }

    /// How events and their repetitions are written; upstream's components differ in it.
    package enum Form: Sendable {
        /// Core v1, with a count.
        case counted
        /// `events.k8s.io/v1`: says what was being done, and repetitions are a series.
        case series
    }

    struct Entry: Hashable, Sendable {
        let regarding: JSON
        let type: EventType
        let reason: String
        let action: String
        let message: String
        let related: JSON?
    }

    fileprivate struct Known {
        var name: String
        var namespace: String
        var count: Int
    }

    fileprivate struct Budget {
        var tokens: Int
        var since: ContinuousClock.Instant
    }

    fileprivate struct State {
        var pending: Deque<Entry> = []
        var known: OrderedDictionary<Entry, Known> = [:]
        var budgets: OrderedDictionary<String, Budget> = [:]
        var waiter: CheckedContinuation<Void, Never>?
    }

    private let client: any ResourceClient
    let component: String
    let host: String
    private let form: Form
    let now: @Sendable () -> String
    private let logger: Logger
    private let state = Mutex(State())

    /// - Parameters:
    ///   - component: Who reports, `kubelet`; becomes `source.component` and `reportingComponent`.
    ///   - host: The node, for parts that run on one; else empty.
    ///   - now: The time in RFC 3339: seconds, or microseconds for a series.
    package init(
        client: any ResourceClient, component: String, host: String = "", form: Form = .counted, logger: Logger,
        now: @escaping @Sendable () -> String
    ) {
        self.client = client
        self.component = component
        self.host = host
        self.form = form
        self.logger = logger
        self.now = now
    }

    /// Records an event about an object.
    ///
    /// - Parameters:
    ///   - action: What was being done, `Binding`; shown by a series only.
    ///   - fieldPath: The part concerned, `spec.containers{name}`.
    ///   - related: Another object that has to do with it; shown by a series only.
    package func record(
        _ object: KubeObject, _ type: EventType, reason: String, action: String = "", message: String,
        fieldPath: String = "", related: KubeObject? = nil
    ) {
        var regarding = Self.reference(object)
        if !fieldPath.isEmpty { regarding["fieldPath"] = .string(fieldPath) }
        let entry = Entry(
            regarding: regarding, type: type, reason: reason, action: action, message: String(message.prefix(1024)),
            related: related.map(Self.reference))
        let waiter: CheckedContinuation<Void, Never>? = state.withLock { state in
            guard state.pending.count < Self.queueLimit, state.spend(object.uid) else { return nil }
            state.pending.append(entry)
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume()
    }

    /// Sends events until the task is cancelled.
    package func run() async throws {
        while !Task.isCancelled {
            if let entry = state.withLock({ $0.pending.popFirst() }) {
                await send(entry)
            } else {
                await waitForWork()
            }
        }
    }

    private func waitForWork() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isOver = state.withLock { state in
                    if Task.isCancelled || !state.pending.isEmpty { return true }
                    state.waiter = continuation
                    return false
                }
                if isOver { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                defer { state.waiter = nil }
                return state.waiter
            }
            waiter?.resume()
        }
    }

    private func send(_ entry: Entry) async {
        do {
            if let known = state.withLock({ $0.known[entry] }), try await repeatEvent(entry, known) { return }
            log(entry)
            let namespace = entry.regarding["namespace"]?.string ?? "default"
            let name = "\(entry.regarding["name"]?.string ?? "").\(Self.suffix())"
            switch form {
            case .counted:
                _ = try await client.create(.events, object: countedEvent(entry, namespace: namespace, name: name))
            case .series:
                let event = seriesEvent(entry, namespace: namespace, name: name)
                _ = try await client.create(Self.seriesResource, object: event)
            }
            state.withLock { $0.remember(entry, .init(name: name, namespace: namespace, count: 1)) }
        } catch is CancellationError {
            return
        } catch {
            // An event is a courtesy: a namespace that is going away, say, refuses it.
            logger.debug("An event was not stored", metadata: ["reason": "\(entry.reason)", "error": "\(error)"])
        }
    }

    /// What goes wrong with a pod stands in the log of whoever saw it too, once.
    private func log(_ entry: Entry) {
        guard entry.regarding["kind"]?.string == "Pod" else { return }
        var metadata: Logger.Metadata = [
            "component": "\(component)", "namespace": "\(entry.regarding["namespace"]?.string ?? "")",
            "pod": "\(entry.regarding["name"]?.string ?? "")", "reason": "\(entry.reason)",
        ]
        // spec.containers{name}
        let path = entry.regarding["fieldPath"]?.string ?? ""
        if let brace = path.firstIndex(of: "{") {
            metadata["container"] = "\(path[brace...].dropFirst().dropLast())"
        }
        logger.log(level: entry.type == .warning ? .warning : .debug, "\(entry.message)", metadata: metadata)
    }

    /// Counts a repetition; false when the event object is no longer there.
    private func repeatEvent(_ entry: Entry, _ known: Known) async throws -> Bool {
        let count = known.count + 1
        do {
            let repetition: (resource: GroupVersionResource, patch: JSON) =
                switch form {
                case .counted: (.events, ["count": JSON(count), "lastTimestamp": .string(now())])
                case .series:
                    (Self.seriesResource, ["series": ["count": JSON(count), "lastObservedTime": .string(now())]])
                }
            _ = try await client.patch(
                repetition.resource, namespace: known.namespace, name: known.name, subresource: nil, type: .merge,
                patch: repetition.patch, options: .init())
        } catch let error as StatusError where error.isNotFound {
            return false
        }
        state.withLock { $0.remember(entry, .init(name: known.name, namespace: known.namespace, count: count)) }
        return true
    }

    private static func suffix() -> String {
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension EventRecorder.State {
    /// Takes one event from the object's budget; false when it is spent.
    mutating func spend(_ uid: String) -> Bool {
        let now = ContinuousClock.now
        var budget = budgets.removeValue(forKey: uid) ?? .init(tokens: EventRecorder.burst, since: now)
        let earned = Int((now - budget.since) / EventRecorder.refill)
        if earned > 0 {
            budget.tokens = min(EventRecorder.burst, budget.tokens + earned)
            budget.since += EventRecorder.refill * earned
        }
        let isAllowed = budget.tokens > 0
        if isAllowed { budget.tokens -= 1 }
        budgets[uid] = budget
        if budgets.count > EventRecorder.memoryLimit { budgets.removeFirst() }
        return isAllowed
    }

    mutating func remember(_ entry: EventRecorder.Entry, _ value: EventRecorder.Known) {
        known.removeValue(forKey: entry)
        known[entry] = value
        if known.count > EventRecorder.memoryLimit { known.removeFirst() }
    }
}
