// SPDX-License-Identifier: Apache-2.0

import Foundation
import Storage
import StorageSQLite
import Testing

@Suite struct StoreSnapshotTests {
    @Test func copiesAStoreThatIsInUse() async throws {
        try await withTemporaryDirectory { directory in
            let copy = directory + "/copy"
            try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: true)
            let target = "\(copy)/\(StoreSnapshot.fileName)"
            let revision = try await withStore(directory + "/live") { store in
                for number in 0..<50 { try await store.put("/k/\(number)", "value \(number)") }
                try StoreSnapshot.write(of: directory + "/live", to: target)
                try await store.put("/k/later", "not in the copy")
                return store.snapshot().revision
            }
            #expect(try StoreSnapshot.verify(target) == 50)
            try StoreSnapshot.prepareForRestore(target)
            try await withStore(copy) { store in
                #expect(store.snapshot().get("/k/49")?.bytes == Array("value 49".utf8))
                #expect(store.snapshot().get("/k/later") == nil)
                #expect(store.snapshot().revision >= revision + StoreSnapshot.revisionStep - 1)
            }
        }
    }

    /// A cluster may have got far since the backup was made.
    @Test func theRevisionMovesOnFromThatOfTheStoreThatIsReplaced() async throws {
        try await withTemporaryDirectory { directory in
            func file(_ name: String) -> String { "\(directory)/\(name)/\(StoreSnapshot.fileName)" }
            try await withStore(directory + "/live") { store in
                try await store.put("/k", "value")
                for name in ["copy", "other"] {
                    try FileManager.default.createDirectory(
                        atPath: "\(directory)/\(name)", withIntermediateDirectories: true)
                    try StoreSnapshot.write(of: directory + "/live", to: file(name))
                }
            }
            for _ in 0..<3 { try StoreSnapshot.prepareForRestore(file("live")) }
            let reached = try await withStore(directory + "/live") { $0.snapshot().revision }
            try StoreSnapshot.prepareForRestore(file("copy"), replacing: directory + "/live")
            try await withStore(directory + "/copy") { store in
                #expect(store.snapshot().revision >= reached + StoreSnapshot.revisionStep)
                #expect(store.snapshot().get("/k")?.bytes == Array("value".utf8))
            }
            // One that cannot be read is no obstacle.
            try Data("no database".utf8).write(to: URL(filePath: file("live")))
            try StoreSnapshot.prepareForRestore(file("other"), replacing: directory + "/live")
            try await withStore(directory + "/other") { store in
                #expect(store.snapshot().revision >= StoreSnapshot.revisionStep)
            }
        }
    }

    @Test func readsBelowAPrefixOfAStoreInUseOrNot() async throws {
        try await withTemporaryDirectory { directory in
            func values(_ prefix: String) throws -> Set<String> {
                var found: Set<String> = []
                try StoreSnapshot.read(directory + "/live", prefix: prefix) {
                    found.insert(String(decoding: $0, as: UTF8.self))
                }
                return found
            }
            try await withStore(directory + "/live") { store in
                for key in ["/a/1", "/a/2", "/ab/3", "/A/4", "/_/5"] { try await store.put(key, "value of \(key)") }
                #expect(try values("/a/") == ["value of /a/1", "value of /a/2"])
            }
            #expect(try values("/a/") == ["value of /a/1", "value of /a/2"])
            #expect(try values("/_/") == ["value of /_/5"])
            #expect(try values("/c/").isEmpty)
        }
    }

    @Test func refusesWhatIsNoStore() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/text"
            try Data("not a database, and long enough to have a header of one".utf8).write(to: URL(filePath: file))
            #expect(throws: StorageOpenError.self) { try StoreSnapshot.verify(file) }
            #expect(throws: StorageOpenError.self) {
                try StoreSnapshot.write(of: directory + "/none", to: directory + "/copy")
            }
            #expect(!FileManager.default.fileExists(atPath: directory + "/copy"))
        }
    }
}
