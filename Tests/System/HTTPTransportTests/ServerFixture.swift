// SPDX-License-Identifier: Apache-2.0

import Foundation
import HTTPTransport
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import PKI
import Testing

/// Runs a server with a fresh authority and certificate for the length of `body`.
func withServer<Result: Sendable>(
    _ handler: any HTTPHandler, limits: HTTPServerLimits = .init(), placement: HTTPServer.Placement = .eventLoop,
    _ body: @Sendable (RunningServer) async throws -> Result
) async throws -> Result {
    let files = try TestCertificates()
    defer { files.remove() }
    let tls = try HTTPServerTLS(files.identity)
    let server = HTTPServer(
        handler: handler, limits: limits, placement: placement, group: MultiThreadedEventLoopGroup.singleton,
        logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let secure = try await server.bind(host: "127.0.0.1", port: 0, tls: tls)
    let plain = try await server.bind(host: "127.0.0.1", port: 0, tls: nil)
    let running = RunningServer(
        server: server, tls: tls, port: secure.port ?? 0, plainPort: plain.port ?? 0, certificates: files)
    return try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { await server.run() }
        defer { server.shutdown() }
        return try await body(running)
    }
}

struct RunningServer: Sendable {
    let server: HTTPServer
    let tls: HTTPServerTLS
    let port: Int
    let plainPort: Int
    let certificates: TestCertificates

    var url: String { "https://127.0.0.1:\(port)" }
    var plainURL: String { "http://127.0.0.1:\(plainPort)" }

    /// Runs curl, trusting the server.
    func curl(_ arguments: String...) async throws -> CommandOutput {
        try await run("curl", ["-sS", "--max-time", "10", "--cacert", certificates.path("ca.pem")] + arguments)
    }
}

/// An authority, a server certificate and client certificates in a directory of their own.
struct TestCertificates: Sendable {
    let directory: URL
    let identity: HTTPServerTLS.Identity

    init() throws {
        directory = FileManager.default.temporaryDirectory.appendingPathComponent("http-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        let validity = Validity(notBefore: 1_700_000_000, notAfter: 4_000_000_000)
        let authority = try CertificateAuthority.create(subject: .init(commonName: "test CA"), validity: validity)
        let stranger = try CertificateAuthority.create(subject: .init(commonName: "stranger"), validity: validity)
        let (certificate, key) = try Self.issue("server", by: authority, .server)
        identity = HTTPServerTLS.Identity(
            certificateChain: certificate, privateKey: key, clientAuthorities: try authority.certificate.pem())
        try write("ca.pem", authority.certificate.pem())
        for (name, issuer) in [("client", authority), ("stranger", stranger)] {
            let (certificate, key) = try Self.issue(name, by: issuer, .client)
            try write("\(name).pem", certificate)
            try write("\(name).key", key)
        }
    }

    static func issue(
        _ name: String, by authority: CertificateAuthority, _ purpose: CertificateProfile.Purpose
    ) throws -> (certificate: [UInt8], key: [UInt8]) {
        let key = try PrivateKey.generate()
        let profile = CertificateProfile(
            subject: .init(commonName: name),
            alternativeNames: .init(dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"].compactMap { .init($0) }),
            purposes: [purpose], validity: .init(notBefore: 1_700_000_000, notAfter: 4_000_000_000))
        return (try authority.issue(profile, for: key.publicKey()).pem(), try key.pem())
    }

    func path(_ name: String) -> String { directory.appendingPathComponent(name).path }

    private func write(_ name: String, _ bytes: [UInt8]) throws {
        try Data(bytes).write(to: directory.appendingPathComponent(name))
    }

    func remove() {
        // What a test leaves in the temporary directory is no reason to fail.
        try? FileManager.default.removeItem(at: directory)
    }
}

struct CommandOutput: Sendable {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs a command to its end.
func run(_ command: String, _ arguments: [String], input: String? = nil) async throws -> CommandOutput {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async {
            let process = Process()
            let (output, errors, stdin) = (Pipe(), Pipe(), Pipe())
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = [command] + arguments
            (process.standardOutput, process.standardError, process.standardInput) = (output, errors, stdin)
            do {
                try process.run()
                if let input { stdin.fileHandleForWriting.write(Data(input.utf8)) }
                try stdin.fileHandleForWriting.close()
                let text = output.fileHandleForReading.readDataToEndOfFile()
                let complaints = errors.fileHandleForReading.readDataToEndOfFile()
                process.waitUntilExit()
                continuation.resume(
                    returning: CommandOutput(
                        status: process.terminationStatus, output: String(decoding: text, as: UTF8.self),
                        errors: String(decoding: complaints, as: UTF8.self)))
            } catch {
                continuation.resume(throwing: error)
            }
        }
    }
}
