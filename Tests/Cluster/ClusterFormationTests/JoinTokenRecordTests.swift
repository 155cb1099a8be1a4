// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import KubeAPI
import Testing

@Suite struct JoinTokenRecordTests {
    static let now = KubeTime(seconds: 1_800_000_000)
    let token: JoinToken

    init() throws { token = try JoinToken.generate() }

    private func later(_ seconds: Int) -> KubeTime { KubeTime(seconds: Self.now.seconds + seconds) }

    @Test func letsInAsManyAsItSays() throws {
        var record = JoinTokenRecord(token, uses: 2, now: Self.now, lifetime: 60)
        try record.admit(token, key: "a", now: Self.now)
        try record.admit(token, key: "b", now: Self.now)
        #expect(throws: JoinTokenRecord.Refusal.used) { try record.admit(token, key: "c", now: Self.now) }
        #expect(record.usesLeft == 0)
    }

    @Test func theSameBoardMayAskAgainUntilTheTokenExpires() throws {
        var record = JoinTokenRecord(token, uses: 1, now: Self.now, lifetime: 60)
        try record.admit(token, key: "a", now: Self.now)
        try record.admit(token, key: "a", now: later(59))
        #expect(throws: JoinTokenRecord.Refusal.expired) { try record.admit(token, key: "a", now: later(60)) }
        #expect(throws: JoinTokenRecord.Refusal.used) { try record.admit(token, key: "b", now: Self.now) }
    }

    @Test func aWrongSecretTellsNothing() throws {
        let other = try JoinToken.generate()
        let forged = try #require(JoinToken("\(token.id).\(other.secret)"))
        var record = JoinTokenRecord(token, uses: 1, now: Self.now, lifetime: 60)
        #expect(throws: JoinTokenRecord.Refusal.unknown) { try record.admit(forged, key: "a", now: later(100)) }
        #expect(throws: JoinTokenRecord.Refusal.unknown) { try record.admit(other, key: "a", now: Self.now) }
        #expect(record.usesLeft == 1)
    }

    @Test func theSecretHoldsTheHashAndReadsBack() throws {
        var record = JoinTokenRecord(token, uses: 3, now: Self.now, lifetime: 60)
        try record.admit(token, key: "0a", now: Self.now)
        try record.admit(token, key: "0b", now: Self.now)
        var secret = record.secret
        #expect(!secret.json.text().contains(token.secret))
        #expect(secret.key == ObjectKey(namespace: "kube-system", name: "join-token-\(token.id)"))
        secret.json["metadata", "creationTimestamp"] = .string(Self.now.text)
        #expect(JoinTokenRecord(secret) == record)
    }

    @Test(arguments: ["token-id", "token-sha256", "expiration", "uses-left"])
    func aDamagedSecretIsNoToken(field: String) throws {
        var secret = JoinTokenRecord(token, uses: 1, now: Self.now, lifetime: 60).secret
        secret.json["data", field] = "!"
        #expect(JoinTokenRecord(secret) == nil)
    }
}
