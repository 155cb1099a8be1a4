// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Wall-clock times in the API's form, RFC 3339 in UTC (`2026-01-02T03:04:05Z`).
package enum WallClock {
    /// The text of a time in seconds since 1970.
    package static func text(_ seconds: Int64) -> String { KubeTime(seconds: Int(seconds)).text }

    /// The text of a time with microseconds (meta/v1 MicroTime), as leases carry it.
    package static func text(microseconds: Int64) -> String {
        let (seconds, rest) = microseconds.quotientAndRemainder(dividingBy: 1_000_000)
        return KubeTime(seconds: Int(seconds), nanoseconds: Int(rest) * 1000).microText
    }

    /// Seconds since 1970 of an RFC 3339 time, fractions dropped; nil if it is malformed.
    package static func seconds(_ text: String) -> Int64? { KubeTime(text).map { Int64($0.seconds) } }

    /// Nanoseconds since 1970 of an RFC 3339 time with optional fraction and offset; nil if it is malformed.
    package static func nanoseconds(_ text: String) -> Int64? {
        KubeTime(text).map { Int64($0.seconds) * 1_000_000_000 + Int64($0.nanoseconds) }
    }
}
