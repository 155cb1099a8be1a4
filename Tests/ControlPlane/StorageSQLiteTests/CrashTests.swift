// SPDX-License-Identifier: Apache-2.0

import Foundation
import Storage
import StorageSQLite
import Testing

/// A writer is killed with SIGKILL again and again: nothing that it had told anyone may be lost.
@Suite struct CrashTests {
    /// What the killed writer said.
    private struct Testimony {
        var opened: Revision = 0
        var highest: Revision = 0
        var put: [String: Revision] = [:]
        var deleted: Set<String> = []
    }

    @Test func keepsAcknowledgedWritesWhenKilled() async throws {
        try await withTemporaryDirectory { directory in
            var durable: [String: Revision] = [:]
            var highest: Revision = 0
            for round in 0..<5 {
                let testimony = try await killedWriter(directory, after: 0.3 + Double(round) * 0.15)
                #expect(testimony.opened >= highest, "the revision went back")
                #expect(!testimony.put.isEmpty)
                highest = max(highest, testimony.highest)
                for (key, revision) in testimony.put where key.hasPrefix("/durable") { durable[key] = revision }
                for key in testimony.deleted { durable[key] = nil }
                try await withStore(directory, volatile: ["/volatile/"]) { store in
                    let snapshot = store.snapshot()
                    #expect(snapshot.revision >= highest)
                    for (key, revision) in durable { #expect(snapshot.get(key)?.revision == revision, "\(key)") }
                    for key in testimony.deleted where key.hasPrefix("/durable") { #expect(snapshot.get(key) == nil) }
                }
            }
        }
    }

    private func killedWriter(_ directory: String, after seconds: Double) async throws -> Testimony {
        let process = Process()
        let output = Pipe()
        process.executableURL =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../../.build/debug/storage-exercise").standardizedFileURL
        process.arguments = ["write", directory]
        process.standardOutput = output
        try process.run()
        DispatchQueue.global().asyncAfter(deadline: .now() + seconds) { kill(process.processIdentifier, SIGKILL) }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return testimony(String(decoding: data, as: UTF8.self))
    }

    private func testimony(_ text: String) -> Testimony {
        var testimony = Testimony()
        // The last line may be cut off.
        for line in text.split(separator: "\n", omittingEmptySubsequences: false).dropLast() {
            let words = line.split(separator: " ").map(String.init)
            guard let revision = words.last.flatMap(Revision.init) else { continue }
            switch words[0] {
            case "open": testimony.opened = revision
            case "put": testimony.put[words[1]] = revision
            default: testimony.deleted.insert(words[1])
            }
            testimony.highest = max(testimony.highest, revision)
        }
        // A deletion may have been in progress: then either state is right.
        for key in testimony.put.keys where key.last == "4" || key.last == "9" { testimony.put[key] = nil }
        return testimony
    }
}
