// SPDX-License-Identifier: Apache-2.0

/// The name of an image in a registry: `docker.io/library/busybox:1.36@sha256:…`.
///
/// Grammar, normalisation and error texts are those of github.com/distribution/reference v0.6, which the kubelet uses:
/// names without a registry belong to `docker.io`, and those without a name space to `docker.io/library`.
package struct ImageReference: Hashable, Sendable, CustomStringConvertible {
    /// The registry's host and optional port, `localhost:5000`.
    package let domain: String
    /// The repository's path, `library/busybox`.
    package let path: String
    /// The tag, if the name gave one.
    package let tag: String?
    /// The manifest's digest, if the name gave one; it wins over the tag.
    package let digest: Digest?

    package init(domain: String, path: String, tag: String? = nil, digest: Digest? = nil) {
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest
    }

    /// The repository without tag and digest, `docker.io/library/busybox`.
    package var repository: String { "\(domain)/\(path)" }

    /// The whole normalised name.
    package var description: String {
        repository + (tag.map { ":\($0)" } ?? "") + (digest.map { "@\($0)" } ?? "")
    }

    /// The name with `:latest` where it has neither tag nor digest.
    package var withDefaultTag: ImageReference {
        guard tag == nil, digest == nil else { return self }
        return ImageReference(domain: domain, path: path, tag: "latest")
    }

    /// The name as users write it: without `docker.io/` and `library/`.
    package var familiar: String {
        guard domain == Self.defaultDomain else { return description }
        let library = "library/"
        let short = path.hasPrefix(library) ? String(path.dropFirst(library.count)) : path
        return String(description.dropFirst(repository.count)).isEmpty
            ? short : short + description.dropFirst(repository.count)
    }

    static let defaultDomain = "docker.io"
}

// MARK: - Parsing

extension ImageReference {
    /// Parses and normalises a name as a user or a manifest gives it.
    package init(parsing text: String) throws(ImageError) {
        func refuse(_ reason: String) -> ImageError {
            ImageError(.invalidReference, "", "couldn't parse image name \"\(text)\": \(reason)")
        }
        if text.utf8.count == 64, text.utf8.allSatisfy(Self.isLowerHex) {
            throw refuse("invalid repository name (\(text)), cannot specify 64-byte hexadecimal strings")
        }
        let (domain, remainder) = Self.splitDomain(text)
        let remote = remainder.prefix { $0 != ":" }
        if remote.contains(where: \.isUppercase) {
            throw refuse("invalid reference format: repository name (\(remote)) must be lowercase")
        }
        guard let parts = Parts("\(domain)/\(remainder)") else {
            let isCaseProblem = Parts("\(domain)/\(remainder)".lowercased()) != nil
            throw refuse(isCaseProblem ? "repository name must be lowercase" : "invalid reference format")
        }
        if parts.path.utf8.count > 255 {
            throw refuse("repository name must not be more than 255 characters")
        }
        var digest: Digest?
        if let given = parts.digest {
            do {
                digest = try Digest(given)
            } catch {
                throw refuse(error.reason)
            }
        }
        self.init(domain: parts.domain, path: parts.path, tag: parts.tag, digest: digest)
    }

    /// The registry, by upstream's rule for what counts as one, and the rest.
    private static func splitDomain(_ text: String) -> (domain: String, remainder: String) {
        guard let slash = text.firstIndex(of: "/") else { return (defaultDomain, "library/\(text)") }
        let first = text[..<slash]
        var domain = String(first)
        var remainder = String(text[text.index(after: slash)...])
        if first == "localhost" || first.contains(".") || first.contains(":") || first.contains(where: \.isUppercase) {
            // The old name of Docker's hub.
            if domain == "index.docker.io" { domain = defaultDomain }
        } else {
            domain = defaultDomain
            remainder = text
        }
        if domain == defaultDomain, !remainder.contains("/") { remainder = "library/\(remainder)" }
        return (domain, remainder)
    }

    private static func isLowerHex(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
    }
}

/// A name cut into its parts, each checked against the grammar.
private struct Parts {
    let domain: String
    let path: String
    let tag: String?
    let digest: String?

    init?(_ text: String) {
        var rest = text[...]
        digest = rest.firstIndex(of: "@").map { String(rest[rest.index(after: $0)...]) }
        if let at = rest.firstIndex(of: "@") { rest = rest[..<at] }
        let nameStart = rest.lastIndex(of: "/") ?? rest.startIndex
        if let colon = rest[nameStart...].firstIndex(of: ":") {
            tag = String(rest[rest.index(after: colon)...])
            rest = rest[..<colon]
        } else {
            tag = nil
        }
        guard let slash = rest.firstIndex(of: "/") else { return nil }
        domain = String(rest[..<slash])
        path = String(rest[rest.index(after: slash)...])
        guard Self.isDomain(domain), Self.isPath(path) else { return nil }
        if let tag, !Self.isTag(tag) { return nil }
        if let digest, !Self.isDigest(digest) { return nil }
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
        default: false
        }
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x46, 0x61...0x66: true
        default: false
        }
    }

    /// A host name, IPv4 address or bracketed IPv6 address, and an optional port.
    private static func isDomain(_ text: String) -> Bool {
        var host = text[...]
        let afterBracket = text.lastIndex(of: "]") ?? text.startIndex
        if let colon = text[afterBracket...].firstIndex(of: ":") {
            let port = text[text.index(after: colon)...]
            guard !port.isEmpty, port.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return false }
            host = text[..<colon]
        }
        if host.first == "[" {
            let address = host.dropFirst().dropLast()
            return host.last == "]" && !address.isEmpty
                && address.utf8.allSatisfy { isHexDigit($0) || $0 == UInt8(ascii: ":") }
        }
        return host.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last else { return false }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    private static func isPath(_ text: String) -> Bool {
        text.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { isPathComponent(Array($0.utf8)) }
    }

    /// Lower-case letters and digits, separated by `.`, `_`, `__` or any number of `-`.
    private static func isPathComponent(_ bytes: [UInt8]) -> Bool {
        func isWord(_ byte: UInt8) -> Bool { isAlphanumeric(byte) && !(0x41...0x5A).contains(byte) }
        guard let first = bytes.first, let last = bytes.last, isWord(first), isWord(last) else { return false }
        for run in bytes.split(whereSeparator: isWord) {
            let isDashes = run.allSatisfy { $0 == UInt8(ascii: "-") }
            let text = String(decoding: run, as: UTF8.self)
            guard isDashes || text == "." || text == "_" || text == "__" else { return false }
        }
        return true
    }

    private static func isTag(_ text: String) -> Bool {
        guard let first = text.utf8.first, text.utf8.count <= 128 else { return false }
        let isWord = { (byte: UInt8) in isAlphanumeric(byte) || byte == UInt8(ascii: "_") }
        return isWord(first)
            && text.utf8.allSatisfy { isWord($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-") }
    }

    /// An algorithm and at least 32 hexadecimal digits; ``Digest`` looks closer.
    private static func isDigest(_ text: String) -> Bool {
        guard let colon = text.firstIndex(of: ":") else { return false }
        let algorithm = text[..<colon]
        let hex = text[text.index(after: colon)...].utf8
        let components = algorithm.split(omittingEmptySubsequences: false) { "-_+.".contains($0) }
        let isAlgorithm = components.allSatisfy { component in
            guard let first = component.utf8.first else { return false }
            return isAlphanumeric(first) && !(0x30...0x39).contains(first) && component.utf8.allSatisfy(isAlphanumeric)
        }
        return isAlgorithm && hex.count >= 32 && hex.allSatisfy(isHexDigit)
    }
}
