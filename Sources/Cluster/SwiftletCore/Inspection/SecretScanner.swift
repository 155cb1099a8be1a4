// SPDX-License-Identifier: Apache-2.0

/// Finds in a text what looks like a secret, in one pass.
///
/// Private keys in PEM, passwords in URLs, `name=value` and `"name": "value"` with a telling name, `--password value`, HTTP
/// authorisations, join and bootstrap tokens, JSON web tokens, and long random texts (base64).
struct SecretScanner {
    /// Characters of a text that looks random, from which on it is taken for a key.
    private static let shortestRandom = 40
    /// What an HTTP authorisation has at least behind its scheme.
    private static let shortestCredential = 8
    private static let begin = Array("-----BEGIN ".utf8)
    private static let end = Array("-----END ".utf8)
    private static let dashes = Array("-----".utf8)
    private static let authority = Array("://".utf8)
    private static let option = Array("--".utf8)
    private static let webToken = Array("eyJ".utf8)
    private static let privateKey = Array("PRIVATE KEY".utf8)
    /// Schemes of HTTP authorisations, and those of them that are no everyday words.
    private static let schemes = ["bearer", "basic", "digest", "token", "negotiate"].map { Array($0.utf8) }
    private static let tellingSchemes = ["bearer", "basic"].map { Array($0.utf8) }

    private let text: [UInt8]
    private var result: [Range<Int>] = []
    private var index = 0

    init(_ text: [UInt8]) { self.text = text }

    /// Where secrets stand, in order and without overlaps.
    mutating func scan() -> [Range<Int>] {
        while index < text.count {
            let byte = text[index]
            if byte == UInt8(ascii: "-"), removePrivateKey() { continue }
            if byte == UInt8(ascii: ":"), removeUserInformation() { continue }
            if Self.isWord(byte) { takeWord() } else { index += 1 }
        }
        return result
    }

    private mutating func remove(from start: Int, upTo end: Int) {
        result.append(start..<end)
        index = end
    }

    // MARK: Private keys and URLs

    private mutating func removePrivateKey() -> Bool {
        guard text[index...].starts(with: Self.begin) else { return false }
        let lineEnd = text[(index + Self.begin.count)...].firstRange(of: Self.dashes)?.upperBound ?? text.count
        guard text[index..<lineEnd].firstRange(of: Self.privateKey) != nil else { return false }
        guard let footer = text[lineEnd...].firstRange(of: Self.end) else {
            // Cut off: all that is left may be the key.
            remove(from: index, upTo: text.count)
            return true
        }
        remove(
            from: index, upTo: text[footer.upperBound...].firstRange(of: Self.dashes)?.upperBound ?? text.count)
        return true
    }

    /// `://user:password@`
    private mutating func removeUserInformation() -> Bool {
        guard text[index...].starts(with: Self.authority) else { return false }
        let start = index + 3
        let authority = text[start...].prefix { byte in
            byte > 0x20 && byte != UInt8(ascii: "/") && byte != UInt8(ascii: "\"") && byte != UInt8(ascii: "'")
                && byte != UInt8(ascii: ">")
        }
        guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { return false }
        remove(from: start, upTo: at)
        return true
    }

    // MARK: Words

    private static func isWord(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: "_")
            || byte == UInt8(ascii: "-") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "+")
            || byte == UInt8(ascii: "/")
    }

    private mutating func takeWord() {
        let start = index
        // A word that begins with a key in PEM was looked at before.
        var end = start + 1
        while end < text.count, Self.isWord(text[end]), !startsPEM(end) { end += 1 }
        let word = text[start..<end]
        if Self.looksRandom(word) || Self.isWebToken(word) {
            while end < text.count, text[end] == UInt8(ascii: "=") { end += 1 }
            return remove(from: start, upTo: end)
        }
        if let secret = Self.joinSecret(in: word) {
            return remove(from: secret.lowerBound, upTo: secret.upperBound)
        }
        index = end
        if Self.matches(word, oneOf: Self.tellingSchemes) { return removeCredential() }
        // Most words are followed by no value, and need not be looked at.
        guard let value = valueStart(behind: word) else { return }
        // The name is what stands behind the last slash of a path.
        let name = word.lastIndex(of: UInt8(ascii: "/")).map { word[($0 + 1)...] } ?? word
        if Redaction.isSecretName(name.drop { $0 == UInt8(ascii: "-") }) { removeValue(from: value) }
    }

    private func startsPEM(_ position: Int) -> Bool {
        text[position] == UInt8(ascii: "-") && text[position...].starts(with: Self.begin)
    }

    private static func matches(_ word: ArraySlice<UInt8>, oneOf names: [[UInt8]]) -> Bool {
        names.contains { name in name.count == word.count && zip(name, word).allSatisfy { $0 == $1 | 0x20 } }
    }

    /// `Bearer abc...`: what follows a scheme, if it is long enough to be meant.
    private mutating func removeCredential() {
        guard index < text.count, text[index] == UInt8(ascii: " ") else { return }
        let value = text[(index + 1)...].prefix { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "'") }
        guard value.count >= Self.shortestCredential else { return }
        remove(from: value.startIndex, upTo: value.endIndex)
    }

    /// Where the value begins, or the quote before it: behind `name=`, `name: `, `"name": ` or `--name `.
    private func valueStart(behind word: ArraySlice<UInt8>) -> Int? {
        var position = index
        skip(&position, while: Self.isQuote)
        let isOption = word.starts(with: Self.option) && position < text.count && text[position] == 0x20
        skip(&position, while: { $0 == 0x20 })
        if position < text.count, text[position] == UInt8(ascii: "=") || text[position] == UInt8(ascii: ":") {
            position += 1
            skip(&position, while: { $0 == 0x20 })
        } else if !isOption {
            return nil
        }
        return position
    }

    /// Removes a value, with or without quotes.
    private mutating func removeValue(from start: Int) {
        var position = start
        skip(&position, while: Self.isQuote)
        let isQuoted = position > start
        var end = valueEnd(from: position, isQuoted: isQuoted)
        // `Authorization: Bearer abc`
        if Self.matches(text[position..<end], oneOf: Self.schemes), end < text.count, text[end] == 0x20 {
            end = valueEnd(from: end + 1, isQuoted: isQuoted)
        }
        guard end > position, text[position] != UInt8(ascii: "["), text[position] != UInt8(ascii: "{") else { return }
        remove(from: position, upTo: end)
    }

    private func skip(_ position: inout Int, while condition: (UInt8) -> Bool) {
        while position < text.count, condition(text[position]) { position += 1 }
    }

    private static func isQuote(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\\")
    }

    private func valueEnd(from start: Int, isQuoted: Bool) -> Int {
        let end = text[start...].firstIndex { byte in
            if byte == 0x0A || byte == 0x0D { return true }
            if isQuoted { return Self.isQuote(byte) }
            return byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") || byte == UInt8(ascii: "&")
                || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'")
        }
        return end ?? text.count
    }

    // MARK: Forms

    /// Long, and with small and capital letters and digits mixed: base64 of something.
    private static func looksRandom(_ word: ArraySlice<UInt8>) -> Bool {
        guard word.count >= shortestRandom else { return false }
        let hasUpper = word.contains { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0) }
        let hasLower = word.contains { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
        return hasUpper && hasLower && word.contains { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }

    /// RFC 7519: a JSON object in base64url begins with `eyJ`.
    private static func isWebToken(_ word: ArraySlice<UInt8>) -> Bool {
        word.count >= 12 && word.starts(with: webToken)
    }

    /// The secret half of a join or bootstrap token, `abcdef.0123456789abcdef`, also between the slashes of a join line.
    private static func joinSecret(in word: ArraySlice<UInt8>) -> Range<Int>? {
        // An identifier, the point and the secret.
        guard word.count >= 6 + 1 + 16 else { return nil }
        for part in word.split(separator: UInt8(ascii: "/")) {
            let halves = part.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
            guard halves.count == 2, halves[0].count == 6, halves[1].count == 16,
                part.allSatisfy({ byte in
                    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || byte == UInt8(ascii: ".")
                })
            else { continue }
            return halves[1].startIndex..<halves[1].endIndex
        }
        return nil
    }
}
