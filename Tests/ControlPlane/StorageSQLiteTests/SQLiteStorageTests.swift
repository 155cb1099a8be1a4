// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Storage
import StorageConformance
import StorageSQLite
import Testing

@Suite struct SQLiteConformance {
    @Test(arguments: StorageConformance.all)
    func onDisk(property: StorageConformance) async throws {
        try await withTemporaryDirectory { directory in
            try await withStore(directory, limits: property.limits) { try await property.check($0) }
        }
    }

    @Test(arguments: StorageConformance.all)
    func inMemory(property: StorageConformance) async throws {
        var configuration = SQLiteStorage.Configuration(location: .memory)
        configuration.limits = property.limits
        let store = try SQLiteStorage(configuration, logger: .quiet)
        try await property.check(store)
        await store.close()
    }
}

@Suite struct SQLiteStorageTests {
    @Test func findsEverythingAgain() async throws {
        try await withTemporaryDirectory { directory in
            let revision = try await withStore(directory) { store in
                for number in 0..<100 { try await store.put("/k/\(number)", "value \(number)") }
                try await store.put("/k/7", "changed")
                try await store.remove("/k/99")
                return store.snapshot().revision
            }
            try await withStore(directory) { store in
                let snapshot = store.snapshot()
                #expect(snapshot.revision == revision)
                #expect(snapshot.count(prefix: "/k/") == 99)
                #expect(snapshot.get("/k/7")?.bytes == Array("changed".utf8))
                #expect(snapshot.get("/k/99") == nil)
                try await store.put("/k/99", "again")
                #expect(store.snapshot().revision == revision + 1)
                #expect(throws: StorageError.self) { _ = try store.watch(prefix: "", after: revision - 1) }
            }
        }
    }

    @Test func writesVolatileKeysAtTheEnd() async throws {
        try await withTemporaryDirectory { directory in
            let last = try await withStore(directory, volatile: ["/leases/"]) { store in
                for number in 0..<50 { try await store.put("/leases/a", "beat \(number)") }
                try await store.put("/leases/b", "short-lived")
                try await store.remove("/leases/b")
                return store.snapshot().revision
            }
            let next = try await withStore(directory, volatile: ["/leases/"]) { store in
                #expect(store.snapshot().revision == last)
                #expect(store.snapshot().get("/leases/a")?.bytes == Array("beat 49".utf8))
                #expect(store.snapshot().get("/leases/b") == nil)
                try await store.remove("/leases/a")
                try await store.put("/leases/a", "new life")
                return store.snapshot().revision
            }
            try await withStore(directory, volatile: ["/leases/"]) { store in
                #expect(store.snapshot().revision == next)
                #expect(store.snapshot().get("/leases/a")?.bytes == Array("new life".utf8))
            }
        }
    }

    @Test func writesVolatileKeysInIntervals() async throws {
        try await withTemporaryDirectory { directory in
            var configuration = SQLiteStorage.Configuration(location: .directory(directory), volatilePrefixes: ["/v/"])
            configuration.volatileCheckpointInterval = .seconds(1)
            let store = try SQLiteStorage(configuration, logger: .quiet)
            try await store.put("/v/a", "kept")
            try await Task.sleep(for: .milliseconds(1500))
            let rows = try await sqlite(directory, "SELECT key FROM object")
            #expect(rows == "/v/a\n")
            await store.close()
        }
    }

    @Test func refusesASecondOwner() async throws {
        try await withTemporaryDirectory { directory in
            try await withStore(directory) { _ in
                expectOpenError(.inUse, directory)
            }
            try await withStore(directory) { _ in }
        }
    }

    @Test func refusesANewerSchema() async throws {
        try await withTemporaryDirectory { directory in
            try await withStore(directory) { try await $0.put("/k", "v") }
            _ = try await sqlite(directory, "PRAGMA user_version = 99")
            expectOpenError(.tooNew, directory)
        }
    }

    @Test func refusesDamagedAndForeignFiles() async throws {
        try await withTemporaryDirectory { directory in
            try Data("this is not a database, whatever its name says".utf8)
                .write(to: URL(fileURLWithPath: directory + "/store.db"))
            expectOpenError(.corrupt, directory)
        }
        try await withTemporaryDirectory { directory in
            _ = try await sqlite(directory, "CREATE TABLE other (x)")
            expectOpenError(.corrupt, directory)
        }
        try await withTemporaryDirectory { directory in
            try await withStore(directory) { store in
                for number in 0..<200 { try await store.put("/k/\(number)", String(repeating: "x", count: 2000)) }
            }
            let file = try FileHandle(forUpdating: URL(fileURLWithPath: directory + "/store.db"))
            try file.seek(toOffset: 8 * 4096)
            try file.write(contentsOf: Data(repeating: 0xA5, count: 20 * 4096))
            try file.close()
            expectOpenError(.corrupt, directory)
        }
    }

    @Test func refusesAPathThatIsNoDirectory() async throws {
        try await withTemporaryDirectory { directory in
            try Data().write(to: URL(fileURLWithPath: directory + "/file"))
            expectOpenError(.inaccessible, directory + "/file")
        }
    }

    @Test func isClosedAfterItsTaskWasCancelled() async throws {
        try await withTemporaryDirectory { directory in
            let store = try SQLiteStorage(.init(location: .directory(directory)), logger: .quiet)
            let watch = try store.watch(prefix: "", after: 0)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await store.run() }
                try await store.put("/k", "v")
                group.cancelAll()
            }
            #expect(try await watch.next()?.count == 1)
            #expect(try await watch.next() == nil)
            await #expect { try await store.put("/k", "w") } throws: { error in
                if case .closed? = error as? StorageError { true } else { false }
            }
            #expect(store.snapshot().count(prefix: "") == 1)
        }
    }

    private func expectOpenError(_ kind: StorageOpenError.Kind, _ directory: String) {
        do {
            _ = try SQLiteStorage(.init(location: .directory(directory)), logger: .quiet)
            Issue.record("it was opened")
        } catch {
            #expect(error.kind == kind, "\(error)")
        }
    }
}
