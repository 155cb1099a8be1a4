// SPDX-License-Identifier: Apache-2.0

/// What is known of the machine's shutdown and of the lock that delays it, and what follows from news. Pure.
struct ShutdownDelayMachine: Sendable {
    /// What happened.
    enum Input: Sendable, Hashable {
        /// The login manager was reached: at first, and when it has started again.
        case appeared
        case locked(delay: Duration)
        /// The lock was refused, by the error's name.
        case refused(name: String, why: String)
        /// PrepareForShutdown (org.freedesktop.login1(5)).
        case preparing(Bool)
    }

    /// What is to be done.
    enum Output: Sendable, Hashable {
        case takeLock
        case tell(ShutdownDelay.Event)
    }

    private(set) var isShuttingDown = false
    private var hasToldUnavailable = false

    /// logind's answer to those who come too late.
    static let tooLate = "org.freedesktop.login1.OperationInProgress"

    mutating func handle(_ input: Input) -> [Output] {
        switch input {
        // A lock is taken also when one is held: that of a login manager that has gone is worth nothing.
        case .appeared: return isShuttingDown ? [] : [.takeLock]
        case .locked(let delay):
            hasToldUnavailable = false
            return [.tell(.armed(delay))]
        case .refused(Self.tooLate, _): return begin()
        case .refused(_, let why):
            if hasToldUnavailable { return [] }
            hasToldUnavailable = true
            return [.tell(.unavailable(why))]
        case .preparing(true): return begin()
        case .preparing(false):
            if !isShuttingDown { return [] }
            isShuttingDown = false
            return [.tell(.cancelled), .takeLock]
        }
    }

    private mutating func begin() -> [Output] {
        if isShuttingDown { return [] }
        isShuttingDown = true
        return [.tell(.begins)]
    }
}
