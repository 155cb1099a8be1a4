// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import LinuxSystem
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

@testable import Kubelet

@Suite("The machine's logs over HTTP")
struct MachineLogsTests {
    private final class Collector: HTTPBodyWriter {
        let bytes = Mutex<[UInt8]>([])
        func write(_ buffer: ByteBuffer) async throws { bytes.withLock { $0 += buffer.readableBytesView } }
        func rest() async {}
    }

    private func text(_ response: HTTPResponse) async throws -> String {
        switch response.body {
        case .bytes(let bytes): return String(buffer: bytes)
        case .stream(let write):
            let collector = Collector()
            try await write(collector)
            return collector.bytes.withLock { String(decoding: $0, as: UTF8.self) }
        case .upgrade: return ""
        }
    }

    private func withLogs(_ body: (MachineLogs) async throws -> Void) async throws {
        let root = "/tmp/machine-logs-\(Processes.current)-\(UInt32.random(in: 0...UInt32.max))"
        try Files.makeDirectories("\(root)/log/sub")
        try Files.replace("\(root)/secret", with: Array("secret".utf8))
        try Files.replace("\(root)/log/syslog", with: Array("line\n".utf8))
        try Files.replace("\(root)/log/sub/a b.log", with: Array("inner\n".utf8))
        try Files.replace("\(root)/log/binary", with: [0, 1, 2])
        try Files.makeLink("\(root)/log/out", to: "../secret")
        try Files.makeLink("\(root)/log/in", to: "\(root)/log/syslog")
        let result: Result<Void, any Error>
        do {
            try await body(MachineLogs(root: "\(root)/log"))
            result = .success(())
        } catch {
            result = .failure(error)
        }
        try Files.removeTree(root)
        try result.get()
    }

    @Test("directories are listed, files are sent")
    func reading() async throws {
        try await withLogs { logs in
            let list = try await logs.answer([], isDirectoryPath: true)
            #expect(list.headers.first(name: "Content-Type") == "text/html; charset=utf-8")
            let listed = try await text(list)
            #expect(listed.contains("<pre>\n<a href=\"binary\">binary</a>\n"))
            #expect(listed.contains("<a href=\"sub/\">sub/</a>\n<a href=\"syslog\">syslog</a>\n</pre>"))
            let inner = try await logs.answer(["sub"], isDirectoryPath: true)
            let innerText = try await text(inner)
            #expect(innerText.contains("<a href=\"a%20b.log\">a b.log</a>"))
            for (path, content) in [(["sub", "a b.log"], "inner\n"), (["in"], "line\n")] {
                let file = try await logs.answer(path, isDirectoryPath: false)
                let sent = try await text(file)
                #expect(sent == content)
            }
            let binary = try await logs.answer(["binary"], isDirectoryPath: false)
            #expect(binary.headers.first(name: "Content-Type") == "application/octet-stream")
            let moved = try await logs.answer(["sub"], isDirectoryPath: false)
            #expect(moved.status == .movedPermanently)
            #expect(moved.headers.first(name: "Location") == "sub/")
        }
    }

    @Test("nothing outside is read", arguments: [["out"], ["..", "secret"], ["sub", "..", "..", "secret"], ["none"]])
    func escape(path: [String]) async throws {
        try await withLogs { logs in
            let answer = try await logs.answer(path, isDirectoryPath: false)
            #expect(answer.status == .notFound)
        }
    }
}
