// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Where the kubelet takes the time from; tests put their own in its place.
package struct Clock: Sendable {
    /// The present moment.
    package var now: @Sendable () -> Moment

    package init(now: @escaping @Sendable () -> Moment) { self.now = now }

    /// The machine's clocks.
    package static let system: Clock = {
        let start = ContinuousClock.now
        return Clock {
            let uptime = ContinuousClock.now - start
            let (seconds, attoseconds) = uptime.components
            return Moment(
                wallSeconds: FileTime.now().seconds,
                uptimeMilliseconds: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        }
    }()
}
