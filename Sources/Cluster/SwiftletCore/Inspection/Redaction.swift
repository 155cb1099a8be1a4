// SPDX-License-Identifier: Apache-2.0

import JSON

/// Removes what is secret from texts that leave the machine: values that are known to be secret, and what looks like it.
///
/// It rather removes too much: a text without a harmless value still helps, one with a password does harm.
struct Redaction: Sendable {
    static let mark = "[removed]"

    private let known: KnownSecrets
    private var markBytes: [UInt8] { Array(Self.mark.utf8) }

    init(_ known: KnownSecrets = KnownSecrets()) { self.known = known }

    func clean(_ text: String) -> String { String(decoding: clean(Array(text.utf8)), as: UTF8.self) }

    func clean(_ text: [UInt8]) -> [UInt8] {
        // Both look at the text as it is: one that saw what the other left would miss what the mark tore apart.
        var scanner = SecretScanner(text)
        let ranges = (known.ranges(in: text) + scanner.scan()).sorted { $0.lowerBound < $1.lowerBound }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var copied = 0
        for range in ranges where range.upperBound > copied {
            if range.lowerBound >= copied {
                result += text[copied..<range.lowerBound]
                result += markBytes
            }
            copied = range.upperBound
        }
        return result + text[copied...]
    }

    /// Cleans every string of a document, and empties members whose name says that they are secret.
    func clean(_ json: JSON) -> JSON {
        switch json {
        case .string(let text): return .string(clean(text))
        case .array(let values): return .array(values.map(clean))
        case .object(let members):
            return .object(
                JSONObject(
                    members.map { key, value in
                        let isSecret = value.string != nil && Self.isSecretName(Array(key.utf8)[...])
                        return (key: clean(key), value: isSecret ? .string(Self.mark) : clean(value))
                    }))
        default: return json
        }
    }

    // MARK: Names

    private static let parts = [
        "password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "privatekey", "accesskey",
        "authorization", "cookie", "dockerconfig",
    ].map { Array($0.utf8) }
    private static let words: Set<[UInt8]> = Set(["pass", "pwd", "auth"].map { Array($0.utf8) })

    /// Whether a name (`DB_PASSWORD`, `client-key-data`, `apiKey`) is one of a secret value.
    static func isSecretName(_ name: ArraySlice<UInt8>) -> Bool {
        let isSeparator = { (byte: UInt8) in
            byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".")
        }
        var lower: [UInt8] = []
        var segments: [[UInt8]] = [[]]
        var wasLower = false
        for byte in name {
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            if isSeparator(byte) || isUpper && wasLower { segments.append([]) }
            wasLower = !isUpper
            if isSeparator(byte) { continue }
            lower.append(byte | 0x20)
            segments[segments.count - 1].append(byte | 0x20)
        }
        if parts.contains(where: { lower.firstRange(of: $0) != nil }) { return true }
        if segments.contains(where: words.contains) { return true }
        // `client-key-data` and `ENCRYPTION_KEY`, but not `keys` or `key-manager`.
        let last = segments.last == Array("data".utf8) ? segments.dropLast().last : segments.last
        return segments.count > 1 && last == Array("key".utf8)
    }
}
