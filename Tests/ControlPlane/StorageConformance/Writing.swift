// SPDX-License-Identifier: Apache-2.0

import Storage
import Testing

extension StorageConformance {
    static let writing: [StorageConformance] = [
        StorageConformance("makes changes only where their condition holds") { store in
            let created = try await store.create("/k", "one")
            #expect(created.created == created.revision)
            #expect(text(store.snapshot().get("/k")) == "one")
            await expectRefusal(current: created.revision) { _ = try await store.create("/k", "again") }
            let updated = try await store.update(created, "two")
            #expect(updated.revision > created.revision)
            #expect(updated.created == created.created)
            await expectRefusal(current: updated.revision) { _ = try await store.update(created, "late") }
            await expectRefusal(current: updated.revision) { _ = try await store.delete(created) }
            let deleted = try await store.delete(updated)
            #expect(deleted.revision > updated.revision)
            #expect(store.snapshot().get("/k") == nil)
            await expectRefusal(current: nil) { _ = try await store.update(updated, "ghost") }
            await expectRefusal(current: nil) { _ = try await store.delete(updated) }
            #expect(store.snapshot().revision == deleted.revision)
            #expect(try await store.create("/k", "three").created > deleted.revision)
        },
        StorageConformance("writes the revision where the writer wants it") { store in
            let template = Array(#"{"rv":"","x":1}"#.utf8)
            let created = try await store.commit(
                Mutation(key: "/k", condition: .absent, change: .put(template, revisionOffset: 7)))
            #expect(text(created) == #"{"rv":"\#(created.revision)","x":1}"#)
            let deleted = try await store.commit(
                Mutation(
                    key: "/k", condition: .revision(created.revision),
                    change: .delete(last: template, revisionOffset: 7)))
            #expect(text(deleted) == #"{"rv":"\#(deleted.revision)","x":1}"#)
        },
        StorageConformance("refuses values beyond the limit") { store in
            let large = [UInt8](repeating: 0x61, count: store.snapshot().count(prefix: "") + (3 << 20) + 1)
            await #expect(throws: StorageError.self) {
                _ = try await store.commit(
                    Mutation(key: "/k", condition: .absent, change: .put(large, revisionOffset: nil)))
            }
            #expect(store.snapshot().get("/k") == nil)
        },
        StorageConformance("keeps every one of concurrent increments") { store in
            _ = try await store.create("/counter", "0")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<25 { try await increment(store) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(text(store.snapshot().get("/counter")) == "200")
        },
        StorageConformance("shows a write before acknowledging it") { store in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for writer in 0..<8 {
                    group.addTask {
                        for number in 0..<25 {
                            let value = try await store.create("/\(writer)/\(number)")
                            #expect(store.snapshot().get(value.key)?.revision == value.revision)
                        }
                    }
                }
                try await group.waitForAll()
            }
            try await store.readBarrier()
            #expect(store.snapshot().count(prefix: "/") == 200)
        },
    ]

    /// Adds one, again and again until nobody came between.
    private static func increment(_ store: any Storage) async throws {
        while true {
            guard let value = store.snapshot().get("/counter"), let number = text(value).flatMap(Int.init) else {
                Issue.record("the counter has gone")
                return
            }
            do {
                _ = try await store.update(value, String(number + 1))
                return
            } catch StorageError.conditionFailed {
                continue
            }
        }
    }

    private static func expectRefusal(current: Revision?, _ body: () async throws -> Void) async {
        do {
            try await body()
            Issue.record("it was not refused")
        } catch StorageError.conditionFailed(let value) {
            #expect(value?.revision == current)
        } catch {
            Issue.record(error)
        }
    }
}
