// SPDX-License-Identifier: Apache-2.0

/// Durations as kubectl shows them: the two largest units at most, fewer for long ones
/// (k8s.io/apimachinery/pkg/util/duration).
package enum HumanDuration {
    /// `5s`, `2m30s`, `47m`, `3h5m`, `2d4h`, `1y30d`; a time more than a second in the future is `<invalid>`.
    ///
    /// - Parameter seconds: the duration; fractions are cut off towards zero.
    package static func text(seconds: Double) -> String {
        let seconds = Int(clamping: Int64(max(-1e15, min(1e15, seconds))))
        if seconds < -1 { return "<invalid>" }
        if seconds < 120 { return "\(max(0, seconds))s" }
        let minutes = seconds / 60
        if minutes < 10 { return pair(minutes, "m", seconds % 60, "s") }
        if minutes < 180 { return "\(minutes)m" }
        let hours = seconds / 3600
        if hours < 8 { return pair(hours, "h", minutes % 60, "m") }
        if hours < 48 { return "\(hours)h" }
        let days = hours / 24
        if hours < 24 * 8 { return pair(days, "d", hours % 24, "h") }
        if hours < 24 * 365 * 2 { return "\(days)d" }
        if hours < 24 * 365 * 8 { return pair(days / 365, "y", days % 365, "d") }
        return "\(days / 365)y"
    }

    private static func pair(_ large: Int, _ largeUnit: String, _ small: Int, _ smallUnit: String) -> String {
        small == 0 ? "\(large)\(largeUnit)" : "\(large)\(largeUnit)\(small)\(smallUnit)"
    }
}
