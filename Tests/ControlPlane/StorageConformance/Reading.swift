// SPDX-License-Identifier: Apache-2.0

import Storage
import Testing

extension StorageConformance {
    static let reading: [StorageConformance] = [
        StorageConformance("visits keys in the order of their bytes") { store in
            let keys = ["/a/2", "/a/10", "/a/B", "/a/b", "/a/é", "/a", "/ab/1", "/b", "/a/\u{65}\u{301}x", "/a/1/x"]
            for key in keys { _ = try await store.create(key) }
            let sorted = keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
            let snapshot = store.snapshot()
            #expect(snapshot.keys() == sorted)
            let below = sorted.filter { $0.utf8.starts(with: "/a/".utf8) }
            #expect(snapshot.keys("/a/") == below)
            #expect(snapshot.count(prefix: "/a/") == below.count)
            #expect(snapshot.count(prefix: "") == keys.count)
            #expect(snapshot.count(prefix: "/zzz") == 0)
            #expect(snapshot.keys("/a/", after: "/a/10") == Array(below.drop { $0 != "/a/10" }.dropFirst()))
            #expect(snapshot.keys("/a/", after: "/a/100").first == "/a/2")
            #expect(snapshot.keys("/a/", limit: 2) == Array(below.prefix(2)))
        },
        StorageConformance("keeps snapshots as they were") { store in
            var values: [StoredValue] = []
            for number in 0..<300 { values.append(try await store.create("/k/\(number)", "first")) }
            let before = store.snapshot()
            for value in values.prefix(100) { _ = try await store.update(value, "second") }
            for value in values.suffix(100) { _ = try await store.delete(value) }
            _ = try await store.create("/k/new")
            #expect(before.count(prefix: "/k/") == 300)
            #expect(text(before.get("/k/0")) == "first")
            #expect(before.get("/k/new") == nil)
            #expect(store.snapshot().count(prefix: "/k/") == 201)
            #expect(text(store.snapshot().get("/k/0")) == "second")
        },
        StorageConformance("gives the state at older revisions") { store in
            var live: [String: StoredValue] = [:]
            var states: [Revision: [String: Revision]] = [:]
            for step in 0..<200 {
                let key = "/k/\(step * 7 % 23)"
                if let value = live[key] {
                    if step % 3 == 0 {
                        _ = try await store.delete(value)
                        live[key] = nil
                    } else {
                        live[key] = try await store.update(value, "step \(step)")
                    }
                } else {
                    live[key] = try await store.create(key, "step \(step)")
                }
                states[store.snapshot().revision] = live.mapValues(\.revision)
            }
            for (revision, state) in states {
                let snapshot = try store.snapshot(at: revision)
                #expect(snapshot.revision == revision)
                #expect(snapshot.count(prefix: "") == state.count)
                for (key, written) in state { #expect(snapshot.get(key)?.revision == written) }
            }
            let current = store.snapshot().revision
            #expect(throws: StorageError.self) { _ = try store.snapshot(at: current + 1) }
        },
        StorageConformance("refuses revisions that the history has lost", limits: shortHistory) { store in
            var value = try await store.create("/k", "0")
            let first = value.revision
            for step in 1...50 { value = try await store.update(value, "\(step)") }
            #expect { _ = try store.snapshot(at: first) } throws: { isCompacted($0) }
            #expect { _ = try store.watch(prefix: "", after: first) } throws: { isCompacted($0) }
            let recent = try store.snapshot(at: value.revision - 3)
            #expect(text(recent.get("/k")) == "47")
        },
    ]

    private static let shortHistory: StorageLimits = {
        var limits = StorageLimits()
        limits.historyEvents = 10
        return limits
    }()

    private static func isCompacted(_ error: any Error) -> Bool {
        if case .compacted? = error as? StorageError { true } else { false }
    }
}
