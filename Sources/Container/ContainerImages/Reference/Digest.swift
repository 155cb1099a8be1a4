// SPDX-License-Identifier: Apache-2.0

import PKI

/// A content digest, `sha256:` and 64 lower-case hexadecimal digits (image-spec, descriptor.md, "Digests").
package struct Digest: Hashable, Sendable, CustomStringConvertible {
    /// The digits after `sha256:`.
    package let hex: String

    /// Parses a digest; the error texts are those of go-digest, which Kubernetes users know.
    package init(_ text: String) throws(ImageError) {
        func refuse(_ reason: String) -> ImageError {
            ImageError(.invalidReference, "parse digest \"\(text)\"", reason)
        }
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else {
            throw refuse("invalid checksum digest format")
        }
        guard text[..<colon] == "sha256" else { throw refuse("unsupported digest algorithm") }
        let hex = text[text.index(after: colon)...]
        guard hex.utf8.count == 64 else { throw refuse("invalid checksum digest length") }
        guard hex.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else {
            throw refuse("invalid checksum digest format")
        }
        self.hex = String(hex)
    }

    /// Takes the 32 bytes that SHA-256 gave.
    init(sha256 bytes: [UInt8]) { hex = hexadecimal(bytes) }

    /// The digest of bytes that are all there.
    package init(of bytes: [UInt8]) { self.init(sha256: SHA256.hash(bytes)) }

    package var description: String { "sha256:\(hex)" }
}

/// SHA-256 and the length of a stream of bytes.
struct StreamDigest: ~Copyable {
    private var hash: SHA256
    /// Bytes so far.
    private(set) var count: UInt64 = 0

    init() throws { hash = try SHA256() }

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        hash.update(bytes)
        count += UInt64(bytes.count)
    }

    consuming func finish() -> (digest: Digest, count: UInt64) {
        let count = count
        return (Digest(sha256: hash.finish()), count)
    }
}
