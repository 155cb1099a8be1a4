// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Testing

@Suite struct JoinLineTests {
    static let hash = String(repeating: "0123456789abcdef", count: 4)
    static let token = "abc123.0123456789abcdef"

    @Test(arguments: [
        ("192.168.1.20:16443", "192.168.1.20", 16443), ("[fd00::1]:443", "fd00::1", 443),
        ("board.local:16443", "board.local", 16443),
    ])
    func reads(endpoint: String, host: String, port: Int) throws {
        let line = try JoinLine("  \(endpoint)/\(Self.token)/\(Self.hash.uppercased())\n")
        #expect(line.host == host && line.port == port && line.fingerprint == Self.hash)
        #expect("\(line)" == "\(endpoint)/\(Self.token)/\(Self.hash)")
        #expect(try JoinLine("\(endpoint)/\(Self.token)").fingerprint == nil)
    }

    @Test(arguments: [
        ("", "words"), ("a b", "words"), ("1.2.3.4:1", "parts"), ("1.2.3.4:1/t/h/x", "parts"),
        ("1.2.3.4/\(token)/\(hash)", "address with a port"), ("1.2.3.4:0/\(token)/\(hash)", "address with a port"),
        ("1.2.3.4:65536/\(token)/\(hash)", "address with a port"), ("1.2.3:1/\(token)/\(hash)", "address with a port"),
        ("[1.2.3.4]:1/\(token)/\(hash)", "address with a port"), ("a_b:1/\(token)/\(hash)", "address with a port"),
        ("1.2.3.4:1/\(token.uppercased())/\(hash)", "token"), ("1.2.3.4:1/abc123/\(hash)", "token"),
        ("1.2.3.4:1/\(token)x/\(hash)", "token"), ("1.2.3.4:1/\(token)/\(hash.dropLast())", "hash"),
        ("1.2.3.4:1/\(token)/\(hash.dropLast())g", "hash"), ("1.2.3.4:1/\(token)/", "hash"),
    ])
    func namesThePartThatIsWrong(text: String, part: String) throws {
        let error = #expect(throws: JoinError.self) { try JoinLine(text) }
        #expect(error?.reason.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test func everyCutOrChangedLineIsRefusedOrKeepsTheHash() throws {
        let text = "192.168.1.20:16443/\(Self.token)/\(Self.hash)"
        for length in 0..<text.count {
            // A line that is cut behind the token has no hash, which the command refuses.
            if let line = try? JoinLine(String(text.prefix(length))) { #expect(line.fingerprint == nil) }
        }
    }

    @Test func tokensAreUnpredictableAndReadBack() throws {
        let tokens = try (0..<100).map { _ in try JoinToken.generate() }
        #expect(Set(tokens.map(\.secret)).count == 100)
        for token in tokens { #expect(JoinToken(token.description) == token) }
        #expect(!tokens[0].digest.contains(tokens[0].secret))
    }
}
