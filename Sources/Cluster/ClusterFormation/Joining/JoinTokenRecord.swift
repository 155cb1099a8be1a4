// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
import PKI

/// What the cluster keeps of a token: a Secret in `kube-system`, named `join-token-<id>`, with the token's hash.
package struct JoinTokenRecord: Hashable, Sendable {
    /// Why a token does not let a board in.
    package enum Refusal: Error, Hashable, Sendable {
        /// There is no such token, or its secret is wrong: which of them is not told.
        case unknown
        case expired
        case used
    }

    /// The type of the Secrets.
    package static let secretType = "swiftlet.io/join-token"
    /// The namespace of the Secrets.
    package static let namespace = "kube-system"
    /// Boards that one token can let in.
    package static let maximumUses = 100

    package let id: String
    /// The token's SHA-256 in hexadecimal.
    package let digest: String
    package let createdAt: KubeTime
    /// From when on the token is worth nothing.
    package let expiresAt: KubeTime
    /// How many more boards it lets in.
    package private(set) var usesLeft: Int
    /// The SHA-256 of the keys of boards that it let in: they may ask again when the answer did not reach them.
    package private(set) var admitted: [String]
    /// The Secret's revision; empty before it is written.
    package private(set) var resourceVersion = ""

    /// - Parameter lifetime: seconds for which the token is good.
    package init(_ token: JoinToken, uses: Int, now: KubeTime, lifetime: Int) {
        id = token.id
        digest = token.digest
        createdAt = KubeTime(seconds: now.seconds)
        expiresAt = KubeTime(seconds: now.seconds + lifetime)
        usesLeft = uses
        admitted = []
    }

    /// Lets a board in, or says why not.
    ///
    /// - Parameter key: the SHA-256 of the board's public key. A board that was let in is let in again until the token
    ///   expires, without another use.
    package mutating func admit(_ token: JoinToken, key: String, now: KubeTime) throws(Refusal) {
        guard token.id == id, constantTimeEqual(token.digest, digest) else { throw .unknown }
        guard now < expiresAt else { throw .expired }
        if admitted.contains(key) { return }
        guard usesLeft > 0 else { throw .used }
        usesLeft -= 1
        admitted.append(key)
    }

    // MARK: Wire form

    package static func secretName(_ id: String) -> String { "join-token-\(id)" }

    /// Reads a Secret; nil if it holds no token.
    package init?(_ secret: KubeObject) {
        let data = secret.json["data"]?.members
        func text(_ key: String) -> String? {
            data?[key]?.string.flatMap { Base64.decode($0) }.map { String(decoding: $0, as: UTF8.self) }
        }
        guard secret.json["type"]?.string == Self.secretType, let id = text("token-id"), JoinToken.isID(id),
            let digest = text("token-sha256"), let expiration = text("expiration"),
            let expiresAt = KubeTime(expiration), let uses = text("uses-left").flatMap({ Int($0) })
        else { return nil }
        self.id = id
        self.digest = digest
        self.expiresAt = expiresAt
        createdAt = secret.creationTimestamp.flatMap { KubeTime($0) } ?? expiresAt
        usesLeft = uses
        admitted = (text("admitted") ?? "").split(separator: ",").map(String.init)
        resourceVersion = secret.resourceVersion
    }

    /// The Secret.
    package var secret: KubeObject {
        var secret = KubeObject(.init("", "v1", "Secret"), namespace: Self.namespace, name: Self.secretName(id))
        secret.json["type"] = .string(Self.secretType)
        secret.json["data"] = JSON(
            [
                "token-id": id, "token-sha256": digest, "expiration": expiresAt.text, "uses-left": "\(usesLeft)",
                "admitted": admitted.joined(separator: ","),
            ].mapValues { Base64.encode(Array($0.utf8)) })
        secret.resourceVersion = resourceVersion
        return secret
    }
}
