// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Foundation
import LinuxSystem
import Testing

@Suite struct MembershipTests {
    static func membership(_ identity: ClusterIdentity) -> Membership {
        let pair = Membership.CertifiedKey(
            certificatePEM: identity.kubeletClient.certificatePEM, keyPEM: identity.kubeletClient.keyPEM)
        return Membership(
            nodeName: "pi2", nodeCIDR: "10.1.1.0/24",
            cluster: ClusterFacts(
                servers: ["https://192.168.1.20:16443"], clusterCIDR: "10.1.0.0/16", serviceCIDR: "10.152.0.0/16",
                clusterDomain: "cluster.local"),
            authorityPEM: identity.authorityPEM, client: pair, serving: pair)
    }

    @Test func isThereWholeOrNotAtAll() throws {
        let directory = try TemporaryDirectory()
        let identity = try ClusterIdentityTests.load(directory)
        let state = "\(directory.path)/worker"
        #expect(try Membership.load(stateDirectory: state) == nil)
        // What a crash in the middle leaves does not count, and is in nobody's way.
        try Files.makeDirectories("\(state)/.membership.new")
        try Files.replace("\(state)/.membership.new/ca.crt", with: [1])
        #expect(try Membership.load(stateDirectory: state) == nil)
        let written = Self.membership(identity)
        try written.create(stateDirectory: state)
        let read = try #require(try Membership.load(stateDirectory: state))
        #expect(read.nodeName == "pi2" && read.nodeCIDR == "10.1.1.0/24" && read.cluster == written.cluster)
        #expect(read.client == written.client && read.authorityPEM == written.authorityPEM)
        #expect(try read.fingerprints() == [identity.authorityFingerprint])
        let status = try #require(try Files.status("\(state)/membership/kubelet-client.pem"))
        #expect(status.permissions == 0o600)
        #expect(try Membership.remove(stateDirectory: state))
        #expect(try Membership.load(stateDirectory: state) == nil)
        // What a crash between the end of one and the removal of its files left goes with the next attempt.
        try Files.makeDirectories("\(state)/.membership.old")
        try Files.replace("\(state)/.membership.old/kubelet.pem", with: [1])
        #expect(try !Membership.remove(stateDirectory: state))
        #expect(!Files.exists("\(state)/.membership.old"))
    }

    @Test func savingReplacesWhatChanged() throws {
        let directory = try TemporaryDirectory()
        let identity = try ClusterIdentityTests.load(directory)
        let state = "\(directory.path)/worker"
        try Self.membership(identity).create(stateDirectory: state)
        let before = try #require(try Files.status("\(state)/membership/ca.crt"))
        try Membership.change(stateDirectory: state) { $0.cluster.servers.append("https://192.168.1.21:16443") }
        #expect(try Membership.load(stateDirectory: state)?.cluster.servers.count == 2)
        #expect(try Files.status("\(state)/membership/ca.crt") == before)
    }

    @Test func agentAndCommandsLoseNothingOfEachOthers() async throws {
        let directory = try TemporaryDirectory()
        let state = "\(directory.path)/worker"
        try Self.membership(try ClusterIdentityTests.load(directory)).create(stateDirectory: state)
        let added = (1...40).map { "https://192.168.2.\($0):16443" }
        try await withThrowingTaskGroup { group in
            for server in added {
                group.addTask { _ = try Membership.change(stateDirectory: state) { $0.cluster.servers.append(server) } }
            }
            try await group.waitForAll()
        }
        let servers = try #require(try Membership.load(stateDirectory: state)).cluster.servers
        #expect(Set(servers.dropFirst()) == Set(added) && servers.count == added.count + 1)
    }

    @Test func whatHasBeenLeftIsNotChanged() throws {
        let directory = try TemporaryDirectory()
        let state = "\(directory.path)/worker"
        try Self.membership(try ClusterIdentityTests.load(directory)).create(stateDirectory: state)
        #expect(try Membership.exists(stateDirectory: state))
        try Membership.remove(stateDirectory: state)
        #expect(try !Membership.exists(stateDirectory: state))
        #expect(throws: SystemError.self) { try Membership.change(stateDirectory: state) { $0.nodeName = "pi3" } }
        #expect(try !Membership.exists(stateDirectory: state))
    }

    @Test func aDamagedOneIsNamed() throws {
        let directory = try TemporaryDirectory()
        let state = "\(directory.path)/worker"
        try Self.membership(try ClusterIdentityTests.load(directory)).create(stateDirectory: state)
        try Files.replace("\(state)/membership/membership.json", with: Array("{".utf8))
        let error = #expect(throws: ClusterFormationError.self) { try Membership.load(stateDirectory: state) }
        #expect(error?.description.contains("\(state)/membership") == true)
    }
}
