// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import KubeAPI
import KubeClient
import Logging
import NIOCore
import Testing

@testable import SwiftletCore

@Suite struct BoardLeaveTests {
    private static let gone = StatusError(code: 404, reason: StatusError.Reason.notFound, message: "no such node")
    private static let stranger = StatusError(
        code: 401, reason: StatusError.Reason.unauthorized, message: "the certificate has expired")
    private static let held = StatusError(
        code: 409, reason: StatusError.Reason.conflict, message: "1 pods are still on it: default/guarded")
    private static let silent = ClientError(request: "POST https://10.0.0.1", reason: "connection refused")

    @Test(arguments: [false, true]) func aNodeThatIsNotThereHasLeft(force: Bool) throws {
        #expect(try BoardLeave.outcome(of: Self.gone, node: "pi2", force: force) == .left(node: "pi2"))
    }

    @Test func whatHoldsABoardIsTold() {
        let cases: [(any Error, [String])] = [
            (Self.stranger, ["does not accept", "expired", "--force", "remove-node pi2"]),
            (Self.held, ["default/guarded", "control plane said so"]),
            (Self.silent, ["connection refused", "--force", "remove-node pi2"]),
        ]
        for (error, words) in cases {
            let said = #expect(throws: JoinError.self) { try BoardLeave.outcome(of: error, node: "pi2", force: false) }
            for word in words { #expect(said?.description.contains(word) == true, "\(word)") }
        }
    }

    @Test func byForceItIsToldThatTheNodeStays() throws {
        let cases: [(any Error, String)] = [
            (Self.stranger, Self.stranger.message), (Self.held, Self.held.message), (Self.silent, Self.silent.reason),
        ]
        for (error, reason) in cases {
            let outcome = try BoardLeave.outcome(of: error, node: "pi2", force: true)
            #expect(outcome == .leftBehind(node: "pi2", reason: reason))
        }
    }

    @Test func theServerHasTheTimeThatPodsHave() {
        let key = Membership.CertifiedKey(pem: [])
        let membership = Membership(
            nodeName: "pi2", nodeCIDR: "10.1.1.0/24",
            cluster: ClusterFacts(
                servers: ["https://192.168.1.20:16443"], clusterCIDR: "10.1.0.0/16", serviceCIDR: "10.152.0.0/16",
                clusterDomain: "cluster.local"), authorityPEM: [], client: key, serving: key)
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let usual = membership.clientSettings(Configuration(), logger: logger).limits
        let patient = membership.clientSettings(Configuration(), logger: logger, patience: .seconds(3630)).limits
        #expect(patient.requestTimeout == .seconds(3630) && patient.silenceTimeout == .seconds(3630))
        #expect(patient.connectTimeout == usual.connectTimeout)
        let short = membership.clientSettings(Configuration(), logger: logger, patience: .seconds(1)).limits
        #expect(short.requestTimeout == usual.requestTimeout && short.silenceTimeout == usual.silenceTimeout)
    }
}
