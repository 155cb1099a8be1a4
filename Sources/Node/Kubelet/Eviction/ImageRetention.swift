// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Which images go when their file system fills up. Pure (upstream: pkg/kubelet/images, image_gc_manager.go).
package struct ImageRetention: Sendable {
    /// Above this share of the file system in use images are removed, in percent (upstream: imageGCHighThresholdPercent).
    package static let highPercent: UInt64 = 85
    /// Down to this share (upstream: imageGCLowThresholdPercent).
    package static let lowPercent: UInt64 = 80
    /// Milliseconds for which an image stays whatever happens: somebody may be about to use it (upstream: imageMinimumGCAge).
    package static let minimumAge: Int64 = 120_000

    /// An image that is there.
    package struct Entry: Sendable, Hashable {
        package var id: String
        /// Bytes.
        package var size: UInt64
        package var isUsed: Bool

        package init(id: String, size: UInt64, isUsed: Bool) {
            self.id = id
            self.size = size
            self.isUsed = isUsed
        }
    }

    private struct Times {
        var firstSeen: Int64
        /// Before anything else while it was never seen in use.
        var lastUsed = Int64.min
    }

    private var times: [String: Times] = [:]

    package init() {}

    /// Bytes that images have to make free; nil while there is room.
    package static func excess(of space: FileSystemSpace) -> UInt64? {
        guard space.totalBytes > 0, usedPercent(of: space) >= highPercent else { return nil }
        let wanted = space.totalBytes / 100 * (100 - lowPercent)
        return wanted > space.availableBytes ? wanted - space.availableBytes : nil
    }

    /// Whole percents, as upstream rounds them.
    package static func usedPercent(of space: FileSystemSpace) -> UInt64 {
        100 - min(100, UInt64(Double(space.availableBytes) / Double(max(1, space.totalBytes)) * 100))
    }

    /// Takes in which images there are and which are in use; others are forgotten.
    ///
    /// - Parameter now: Milliseconds of uptime.
    package mutating func note(_ entries: [Entry], now: Int64) {
        let old = times
        times = [:]
        for entry in entries {
            var known = old[entry.id] ?? Times(firstSeen: now)
            if entry.isUsed { known.lastUsed = now }
            times[entry.id] = known
        }
    }

    /// The images to remove until so many bytes are free, the least recently used first.
    package func removable(_ entries: [Entry], bytes: UInt64, now: Int64) -> [Entry] {
        let candidates = entries.compactMap { entry -> (entry: Entry, times: Times)? in
            guard !entry.isUsed, let known = times[entry.id], now - known.firstSeen >= Self.minimumAge else {
                return nil
            }
            return (entry, known)
        }
        let sorted = candidates.sorted {
            ($0.times.lastUsed, $0.times.firstSeen, $0.entry.id) < ($1.times.lastUsed, $1.times.firstSeen, $1.entry.id)
        }
        var freed: UInt64 = 0
        return sorted.map(\.entry).prefix { entry in
            defer { freed += entry.size }
            return freed < bytes
        }
    }
}
