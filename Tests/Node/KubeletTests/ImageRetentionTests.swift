// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import Kubelet

@Suite("Which images go when the disk fills up")
struct ImageRetentionTests {
    @Test("above 85 percent in use images go until it is 80")
    func excess() {
        func excess(_ available: UInt64) -> UInt64? {
            ImageRetention.excess(
                of: FileSystemSpace(totalBytes: 1000, availableBytes: available, totalInodes: 0, freeInodes: 0))
        }
        #expect(excess(160) == nil)
        #expect(excess(150) == 50)
        #expect(excess(0) == 200)
    }

    private static func entry(_ id: String, used: Bool = false) -> ImageRetention.Entry {
        .init(id: id, size: 100, isUsed: used)
    }

    @Test("the least recently used go first, what is in use or new stays")
    func order() {
        var retention = ImageRetention()
        let (minute, start): (Int64, Int64) = (60_000, 1_000_000)
        retention.note([Self.entry("a", used: true), Self.entry("b", used: true), Self.entry("c")], now: start)
        retention.note([Self.entry("a"), Self.entry("b", used: true), Self.entry("c")], now: start + minute)
        let entries = [
            Self.entry("a"), Self.entry("b"), Self.entry("c"), Self.entry("d", used: true), Self.entry("e"),
        ]
        retention.note(entries, now: start + 3 * minute)
        func removable(_ bytes: UInt64, after minutes: Int64) -> [String] {
            retention.removable(entries, bytes: bytes, now: start + minutes * minute).map(\.id)
        }
        // The one that was never used, then by their last use; one that has just come is nobody's garbage.
        #expect(removable(.max, after: 4) == ["c", "a", "b"])
        #expect(removable(150, after: 4) == ["c", "a"])
        #expect(removable(.max, after: 5) == ["c", "e", "a", "b"])
        #expect(removable(0, after: 5).isEmpty)
    }

    @Test("what is removed and comes again is new")
    func forgets() {
        var retention = ImageRetention()
        retention.note([Self.entry("a")], now: 0)
        retention.note([], now: 300_000)
        retention.note([Self.entry("a")], now: 600_000)
        #expect(retention.removable([Self.entry("a")], bytes: 1, now: 700_000).isEmpty)
    }
}
