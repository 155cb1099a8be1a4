// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import Storage
import StorageSQLite

extension Logger {
    static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }
}

func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("store-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    // What a test leaves in the temporary directory is no reason to fail.
    defer { try? FileManager.default.removeItem(at: directory) }
    return try await body(directory.path)
}

/// Opens the store in a directory and closes it after `body`.
func withStore<Result>(
    _ directory: String, volatile: [String] = [], limits: StorageLimits = .init(),
    _ body: (SQLiteStorage) async throws -> Result
) async throws -> Result {
    var configuration = SQLiteStorage.Configuration(location: .directory(directory), volatilePrefixes: volatile)
    configuration.limits = limits
    let store = try SQLiteStorage(configuration, logger: .quiet)
    do {
        let result = try await body(store)
        await store.close()
        return result
    } catch {
        await store.close()
        throw error
    }
}

extension Storage {
    /// Creates or replaces.
    func put(_ key: String, _ text: String) async throws {
        let present = snapshot().get(key)
        _ = try await commit(
            Mutation(
                key: key, condition: present.map { .revision($0.revision) } ?? .absent,
                change: .put(Array(text.utf8), revisionOffset: nil)))
    }

    func remove(_ key: String) async throws {
        guard let present = snapshot().get(key) else { return }
        _ = try await commit(
            Mutation(
                key: key, condition: .revision(present.revision),
                change: .delete(last: present.bytes, revisionOffset: nil)))
    }
}

/// Runs one statement with the sqlite3 program.
func sqlite(_ directory: String, _ statement: String) async throws -> String {
    try await execute("sqlite3", [directory + "/store.db", statement])
}

/// Runs a program to its end and returns what it printed.
func execute(_ command: String, _ arguments: [String]) async throws -> String {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [command] + arguments
            process.standardOutput = output
            do {
                try process.run()
                let text = output.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(returning: String(decoding: text, as: UTF8.self))
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
