// SPDX-License-Identifier: Apache-2.0

package import PKI

/// What lets a board join: a public identifier and a secret, `abcdef.0123456789abcdef`.
///
/// The form is that of kubeadm's bootstrap tokens (kubernetes.io, "Authenticating with Bootstrap Tokens"); the secret has
/// 82 bits. The cluster keeps only the secret's SHA-256.
package struct JoinToken: Hashable, Sendable, CustomStringConvertible {
    private static let alphabet = Array("0123456789abcdefghijklmnopqrstuvwxyz".utf8)
    private static let idLength = 6
    private static let secretLength = 16

    /// Names the token in lists; no secret.
    package let id: String
    package let secret: String

    /// Makes a token from unpredictable bytes.
    package static func generate() throws(PKIError) -> JoinToken {
        JoinToken(id: try randomText(idLength), secret: try randomText(secretLength))
    }

    private init(id: String, secret: String) {
        self.id = id
        self.secret = secret
    }

    /// Reads a token; nil unless it has the form exactly.
    package init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, Self.isID(parts[0]), parts[1].utf8.count == Self.secretLength,
            parts[1].utf8.allSatisfy(Self.alphabet.contains)
        else { return nil }
        self.init(id: String(parts[0]), secret: String(parts[1]))
    }

    /// Whether a text can name a token.
    package static func isID(_ text: some StringProtocol) -> Bool {
        text.utf8.count == idLength && text.utf8.allSatisfy(alphabet.contains)
    }

    /// The SHA-256 of the whole token in hexadecimal: what the cluster keeps of it.
    package var digest: String { hexadecimal(SHA256.hash(Array(description.utf8))) }

    package var description: String { "\(id).\(secret)" }

    private static func randomText(_ length: Int) throws(PKIError) -> String {
        var text: [UInt8] = []
        while text.count < length {
            // 252 is the largest multiple of 36 that a byte holds: what is beyond would favour some characters.
            for byte in try randomBytes(count: length) where byte < 252 && text.count < length {
                text.append(alphabet[Int(byte) % alphabet.count])
            }
        }
        return String(decoding: text, as: UTF8.self)
    }
}
