// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import LinuxSystem

/// The time of day, replaceable in tests.
package protocol WallClock: Sendable {
    /// Seconds since 1970-01-01T00:00:00Z.
    var now: Int64 { get }
}

extension WallClock {
    /// The present as objects carry it.
    var timestamp: String { KubeTime(seconds: Int(now)).text }
}

/// The machine's clock.
package struct SystemClock: WallClock {
    package init() {}
    package var now: Int64 { FileTime.now().seconds }
}
