// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix

/// Lets all streams of an event loop that rest go on at the same moment: one timer for all of them, and none while none rests.
///
/// All state is confined to its loop, hence unchecked.
final class StreamBeat: @unchecked Sendable {
    /// Long enough for the changes of a busy time to come together, and too short for anybody to notice: what a hundred
    /// watches cost is the number of writes to them.
    private static let interval = TimeAmount.milliseconds(20)
    private static let ofThisLoop = ThreadSpecificVariable<StreamBeat>()

    private var resting: [() -> Void] = []

    /// Calls `body` on the loop at the next beat, or when the loop ends. To be called on the loop.
    static func next(on loop: any EventLoop, _ body: @escaping () -> Void) {
        loop.assertInEventLoop()
        let beat = ofThisLoop.currentValue ?? StreamBeat()
        ofThisLoop.currentValue = beat
        beat.resting.append(body)
        guard beat.resting.count == 1 else { return }
        loop.scheduleTask(in: interval) {}.futureResult.whenComplete { _ in beat.wake() }
    }

    private func wake() {
        let bodies = resting
        resting = []
        for body in bodies { body() }
    }
}
