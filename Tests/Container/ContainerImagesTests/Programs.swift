// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A program of the machine that failed, with what it said.
struct ProgramFailure: Error, CustomStringConvertible {
    let description: String
}

/// Runs a program to its end, at most two minutes, and returns its standard output.
@discardableResult
func run(_ command: [String]) async throws -> String {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = ["timeout", "120"] + command
    let output = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    let errors = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    for file in [output, errors] { try Data().write(to: file) }
    defer { for file in [output, errors] { try? FileManager.default.removeItem(at: file) } }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: errors)
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
        process.terminationHandler = { _ in continuation.resume() }
        do {
            try process.run()
        } catch {
            process.terminationHandler = nil
            continuation.resume(throwing: error)
        }
    }
    guard process.terminationStatus == 0 else {
        let words = try String(decoding: Data(contentsOf: errors), as: UTF8.self)
        throw ProgramFailure(description: "\(command.joined(separator: " ")): \(process.terminationStatus): \(words)")
    }
    return try String(decoding: Data(contentsOf: output), as: UTF8.self)
}

/// Runs `scripts/make-demo-image`.
func makeDemoImage(_ arguments: [String]) async throws {
    try await run(["\(packageRoot)/scripts/make-demo-image"] + arguments)
}
