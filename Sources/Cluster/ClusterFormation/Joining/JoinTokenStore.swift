// SPDX-License-Identifier: Apache-2.0

package import KubeAPI
package import KubeClient

/// The cluster's join tokens, kept as Secrets.
package struct JoinTokenStore: Sendable {
    /// Tokens at one time; more are refused.
    package static let maximumTokens = 256
    /// Seconds for which an expired token is still listed, so that a board which comes late is told why.
    private static let expiredLifetime = 24 * 3600
    /// Attempts at a change that others' changes get in the way of.
    private static let attempts = 10

    private let client: any ResourceClient
    private let now: @Sendable () -> KubeTime

    package init(client: any ResourceClient, now: @escaping @Sendable () -> KubeTime) {
        self.client = client
        self.now = now
    }

    /// All tokens, the newest first.
    package func list() async throws -> [JoinTokenRecord] {
        let secrets = try await client.list(
            .secrets, namespace: JoinTokenRecord.namespace,
            options: .init(fieldSelector: "type=\(JoinTokenRecord.secretType)"))
        return secrets.items.compactMap(JoinTokenRecord.init).sorted {
            ($0.createdAt, $0.id) > ($1.createdAt, $1.id)
        }
    }

    /// Makes a token; those that expired a day ago go.
    ///
    /// - Parameters:
    ///   - uses: boards that it lets in, 1 to ``JoinTokenRecord/maximumUses``.
    ///   - lifetime: seconds.
    /// - Throws: ``JoinError`` when there are too many tokens, `StatusError` from the API.
    package func create(uses: Int, lifetime: Int) async throws -> JoinToken {
        let moment = now()
        var tokens = try await list()
        for old in tokens where old.expiresAt.seconds + Self.expiredLifetime < moment.seconds {
            try await revoke(old.id)
            tokens.removeAll { $0.id == old.id }
        }
        guard tokens.count < Self.maximumTokens else {
            throw JoinError(
                "make a token", reason: "there are \(tokens.count) already",
                remedy: "revoke some ('swiftlet token list', 'swiftlet token revoke ID')")
        }
        let token = try JoinToken.generate()
        let record = JoinTokenRecord(token, uses: uses, now: moment, lifetime: lifetime)
        _ = try await client.create(.secrets, object: record.secret)
        return token
    }

    /// Makes a token worthless.
    ///
    /// - Returns: whether there was one.
    @discardableResult
    package func revoke(_ id: String) async throws -> Bool {
        do {
            try await client.delete(
                .secrets, namespace: JoinTokenRecord.namespace, name: JoinTokenRecord.secretName(id), options: .init())
            return true
        } catch let error as StatusError where error.isNotFound {
            return false
        }
    }

    /// Says whether a board would be let in; changes nothing.
    ///
    /// - Throws: `JoinTokenRecord.Refusal`, or `StatusError` from the API.
    package func check(_ token: JoinToken, key: String) async throws {
        var record = try await find(token)
        try record.admit(token, key: key, now: now())
    }

    /// Lets a board in, using the token up; of several that race for its last use exactly one wins.
    ///
    /// - Throws: `JoinTokenRecord.Refusal`, or `StatusError` from the API.
    package func admit(_ token: JoinToken, key: String) async throws {
        for attempt in 1... {
            var record = try await find(token)
            let before = record
            try record.admit(token, key: key, now: now())
            if record == before { return }
            do {
                _ = try await client.update(.secrets, object: record.secret)
                return
            } catch let error as StatusError where error.isConflict && attempt < Self.attempts {
                // Another board was quicker: what it left decides.
                continue
            } catch let error as StatusError where error.isNotFound {
                throw JoinTokenRecord.Refusal.unknown
            }
        }
    }

    private func find(_ token: JoinToken) async throws -> JoinTokenRecord {
        do {
            let secret = try await client.get(
                .secrets, namespace: JoinTokenRecord.namespace, name: JoinTokenRecord.secretName(token.id))
            guard let record = JoinTokenRecord(secret) else { throw JoinTokenRecord.Refusal.unknown }
            return record
        } catch let error as StatusError where error.isNotFound {
            throw JoinTokenRecord.Refusal.unknown
        }
    }
}
