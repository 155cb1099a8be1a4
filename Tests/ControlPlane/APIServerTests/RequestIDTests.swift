// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import Foundation
import InMemoryLogging
import KubeAPI
import KubeClient
import Logging
import NIOHTTP1
import Storage
import StorageSQLite
import Testing

@testable import APIServer

@Suite struct RequestIDTests {
    @Test func requestsAreToldApart() {
        let ids = (0..<3).map { _ in RequestID([:]).description }
        #expect(Set(ids).count == 3)
    }

    @Test(arguments: [
        ("mine-1", "mine-1"), ("a b\u{7}c", "abc"),
        (String(repeating: "x", count: 70), String(repeating: "x", count: 64)),
    ])
    func clientsMayNameThem(name: String, expected: String) {
        #expect(RequestID(["Audit-ID": name]).description == expected)
    }

    @Test func entriesOfARequestHaveItsID() {
        let log = InMemoryLogHandler()
        var handler = log
        handler.metadataProvider = RequestID.metadataProvider
        let logger = Logger(label: "test") { [handler] _ in handler }
        logger.info("outside")
        RequestID.$current.withValue(RequestID(["Audit-ID": "mine"])) { logger.info("inside") }
        #expect(log.entries.map { $0.metadata["request-id"] } == [nil, "mine"])
    }

    /// Also one that is given without waiting, from the store's cache.
    @Test(arguments: ["/api/v1/namespaces/default", "/api/v1/namespaces", "/version", "/api/v1/nodes/none"])
    func everyAnswerNamesItsRequest(path: String) async throws {
        try await ServedAPI.run { api in
            let head = try Self.head(of: api.url + path, "--header", "Audit-ID: mine")
            #expect(head.lowercased().contains("audit-id: mine"), "\(head)")
            #expect(try Self.head(of: api.url + path).lowercased().contains("audit-id: "))
        }
    }

    /// What curl shows of an answer: its head and body.
    private static func head(of url: String, _ options: String...) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/curl")
        process.arguments =
            [
                "--silent", "--insecure", "--dump-header", "-", "--header",
                "Authorization: Bearer \(ServedAPI.adminToken)",
            ] + options + [url]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        // curl ends by itself, and the answer fits into the pipe.
        return String(decoding: try output.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }

    /// A stored object that is damaged: the one who asks learns where to look, and the log says what is wrong.
    @Test func aFailureNamesTheRequest() async throws {
        let log = InMemoryLogHandler()
        var handler = log
        handler.metadataProvider = RequestID.metadataProvider
        try await ServedAPI.run(logger: Logger(label: "test") { [handler] _ in handler }) { api in
            _ = try await api.client.create(.init("", "v1", "configmaps"), object: configMap("damaged"))
            let stored = try #require(api.storage.snapshot().get("/registry/core/configmaps/default/damaged"))
            _ = try await api.storage.commit(
                Mutation(
                    key: stored.key, condition: .revision(stored.revision),
                    change: .put(Array("{not json".utf8), revisionOffset: nil)))
            let text = try Self.head(
                of: "\(api.url)/api/v1/namespaces/default/configmaps/damaged", "--request", "PATCH", "--data", "{}",
                "--header", "Content-Type: application/merge-patch+json", "--header", "Audit-ID: mine")
            #expect(text.contains(" 500"), "\(text)")
            #expect(text.lowercased().contains("audit-id: mine"), "\(text)")
        }
        let entry = try #require(log.entries.first { $0.message == "A request failed" })
        #expect(entry.level == .error)
        #expect(entry.metadata["request-id"] == "mine")
        #expect(entry.metadata["path"] == "/api/v1/namespaces/default/configmaps/damaged")
        #expect(entry.metadata["verb"] == "patch")
    }
}
