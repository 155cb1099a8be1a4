// SPDX-License-Identifier: Apache-2.0

import Storage
import Testing

extension StorageConformance {
    static let watching: [StorageConformance] = [
        StorageConformance("delivers every change once and in order") { store in
            let before = try await store.create("/a/0")
            let watch = try store.watch(prefix: "/a/", after: before.revision)
            let one = try await store.create("/a/1", "one")
            _ = try await store.create("/b/1")
            let two = try await store.update(one, "two")
            let gone = try await store.delete(two)
            let events = try await watch.take(3)
            #expect(events.map(\.kind) == [.created, .modified, .deleted])
            #expect(events.map(\.revision) == [one.revision, two.revision, gone.revision])
            #expect(events.map { text($0.previous) } == [nil, "one", "two"])
            #expect(watch.deliveredRevision >= gone.revision)
        },
        StorageConformance("begins a watch in the past") { store in
            let start = store.snapshot().revision
            for number in 0..<20 { _ = try await store.create("/\(number % 2)/\(number)") }
            let middle = store.snapshot().revision
            for number in 20..<40 { _ = try await store.create("/\(number % 2)/\(number)") }
            let all = try store.watch(prefix: "/1/", after: start)
            #expect(try await all.take(20).map(\.value.key) == stride(from: 1, to: 40, by: 2).map { "/1/\($0)" })
            let half = try store.watch(prefix: "", after: middle)
            #expect(try await half.take(20).map(\.revision) == (middle + 1...middle + 20).map { $0 })
        },
        StorageConformance("loses and repeats nothing while watches begin") { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    for number in 0..<300 { _ = try await store.create("/k/\(number)") }
                }
                for _ in 0..<20 {
                    group.addTask {
                        let base = store.snapshot()
                        let watch = try store.watch(prefix: "/k/", after: base.revision)
                        let missing = 300 - base.count(prefix: "/k/")
                        let events = try await watch.take(missing)
                        #expect(events.map(\.revision) == (0..<missing).map { base.revision + 1 + Int64($0) })
                    }
                    try await Task.sleep(for: .milliseconds(2))
                }
                try await group.waitForAll()
            }
        },
        StorageConformance("cuts off a watch that does not keep up", limits: smallBuffer) { store in
            let watch = try store.watch(prefix: "", after: store.snapshot().revision)
            for number in 0..<20 { _ = try await store.create("/\(number)") }
            await #expect { _ = try await watch.next() } throws: { error in
                if case .watchTooSlow? = error as? StorageError { true } else { false }
            }
            let next = try store.watch(prefix: "", after: store.snapshot().revision)
            let value = try await store.create("/more")
            #expect(try await next.take(1).first?.revision == value.revision)
        },
        StorageConformance("ends a wait when its task is cancelled") { store in
            let watch = try store.watch(prefix: "", after: store.snapshot().revision)
            let result = await withTaskGroup(of: Bool.self) { group in
                group.addTask {
                    do {
                        _ = try await watch.next()
                        return false
                    } catch {
                        return error is CancellationError
                    }
                }
                group.cancelAll()
                return await group.next() ?? false
            }
            #expect(result)
            let value = try await store.create("/k")
            #expect(try await watch.take(1).first?.revision == value.revision)
        },
        StorageConformance("can be woken, and loses nothing by it") { store in
            let watch = try store.watch(prefix: "", after: store.snapshot().revision)
            async let waiting = watch.next()
            watch.interrupt()
            #expect(try await waiting?.isEmpty == true)
            // Changes go first.
            let value = try await store.create("/k")
            watch.interrupt()
            #expect(try await watch.next()?.first?.revision == value.revision)
            #expect(try await watch.next()?.isEmpty == true)
        },
        StorageConformance("tells idle watches how far they have come") { store in
            let watch = try store.watch(prefix: "/quiet/", after: store.snapshot().revision)
            let value = try await store.create("/loud/1")
            #expect(watch.deliveredRevision == value.revision)
            let waiting = try await store.create("/quiet/1")
            #expect(watch.deliveredRevision < waiting.revision)
            _ = try await watch.take(1)
            #expect(watch.deliveredRevision == waiting.revision)
        },
        StorageConformance("finds the watches of all prefixes") { store in
            let prefixes = ["", "/", "/a", "/a/", "/a/b", "/a/b/", "/a/bc", "/b", "/a/b/c", "/ab"]
            let start = store.snapshot().revision
            var watches: [(String, any StorageWatch)] = []
            for prefix in prefixes { watches.append((prefix, try store.watch(prefix: prefix, after: start))) }
            let keys = ["/a", "/a/b", "/a/b/c", "/a/bc/d", "/a/c", "/b/1", "/ab/1", "/c"]
            for key in keys { _ = try await store.create(key) }
            for (prefix, watch) in watches {
                let expected = keys.filter { $0.hasPrefix(prefix) }
                #expect(try await watch.take(expected.count).map(\.value.key) == expected)
            }
        },
    ]

    private static let smallBuffer: StorageLimits = {
        var limits = StorageLimits()
        limits.watchBuffer = 8
        return limits
    }()
}
