// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import Foundation
import PKI

/// The stock kubectl, run against a served API.
struct Kubectl: Sendable {
    struct Result: Sendable {
        var status: Int32
        var output: String
        var errors: String
    }

    /// Whether there is a kubectl on this machine.
    static var isInstalled: Bool { path != nil }
    private static let path = ["/usr/local/bin/kubectl", "/usr/bin/kubectl"].first {
        FileManager.default.isExecutableFile(atPath: $0)
    }

    let directory: String
    let configuration: String

    init(_ api: ServedAPI) throws {
        directory = NSTemporaryDirectory() + "apiserver-tests-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        configuration = directory + "/kubeconfig"
        let authority = Data(try api.authority.certificate.pem()).base64EncodedString()
        try """
        apiVersion: v1
        kind: Config
        clusters: [{name: test, cluster: {server: "\(api.url)", certificate-authority-data: \(authority)}}]
        users: [{name: admin, user: {token: \(ServedAPI.adminToken)}}]
        contexts: [{name: test, context: {cluster: test, user: admin}}]
        current-context: test
        """.write(toFile: configuration, atomically: true, encoding: .utf8)
    }

    func remove() {
        // A directory that stays behind does no harm.
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// Runs kubectl on a thread of its own and waits for its end.
    @discardableResult
    func callAsFunction(_ arguments: String..., input: String? = nil) async throws -> Result {
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread {
                continuation.resume(with: Swift.Result { try run(arguments, input: input) })
            }
        }
    }

    private func run(_ arguments: [String], input: String?) throws -> Result {
        let process = Process()
        guard let path = Self.path else { throw CocoaError(.fileNoSuchFile) }
        process.executableURL = URL(fileURLWithPath: path)
        process.arguments = ["--kubeconfig", configuration, "--cache-dir", directory + "/cache"] + arguments
        var environment = ProcessInfo.processInfo.environment
        environment["HOME"] = directory
        process.environment = environment
        let number = UUID().uuidString
        func file(_ name: String) throws -> FileHandle {
            let path = "\(directory)/\(number).\(name)"
            FileManager.default.createFile(atPath: path, contents: name == "in" ? Data((input ?? "").utf8) : nil)
            return try FileHandle(forUpdating: URL(fileURLWithPath: path))
        }
        process.standardInput = try file("in")
        process.standardOutput = try file("out")
        process.standardError = try file("err")
        try process.run()
        process.waitUntilExit()
        func text(_ name: String) throws -> String {
            try String(contentsOfFile: "\(directory)/\(number).\(name)", encoding: .utf8)
        }
        return Result(status: process.terminationStatus, output: try text("out"), errors: try text("err"))
    }
}
