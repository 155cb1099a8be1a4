// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A connection's timeout, cheap to move: requests change a number, and a timer fires only to look at it.
///
/// It lives on the connection's event loop.
final class ConnectionDeadline {
    private let loop: any EventLoop
    private var deadline: NIODeadline?
    private var timer: (task: Scheduled<Void>, at: NIODeadline)?
    private let expired: () -> Void

    init(loop: any EventLoop, expired: @escaping () -> Void) {
        self.loop = loop
        self.expired = expired
    }

    /// Expires after this time unless set anew or cleared before.
    func set(_ timeout: TimeAmount) {
        let deadline = NIODeadline.now() + timeout
        self.deadline = deadline
        if let timer, timer.at <= deadline { return }
        timer?.task.cancel()
        arm(at: deadline)
    }

    /// No longer expires; the timer stays for the next ``set(_:)`` and dies when it fires in vain.
    func clear() { deadline = nil }

    /// Lets go of the timer for good.
    func cancel() {
        deadline = nil
        timer?.task.cancel()
        timer = nil
    }

    private func arm(at time: NIODeadline) {
        // The closure runs on the loop to which everything here is bound.
        let this = NIOLoopBound(self, eventLoop: loop)
        timer = (loop.scheduleTask(deadline: time) { this.value.fired() }, time)
    }

    private func fired() {
        timer = nil
        guard let deadline else { return }
        if deadline <= NIODeadline.now() {
            self.deadline = nil
            expired()
        } else {
            arm(at: deadline)
        }
    }
}
