// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging

/// `swiftlet leave`: takes this machine out of the cluster that it has joined; it is a cluster of its own then, as before.
package struct BoardLeave: Sendable {
    /// What came of it.
    package enum Outcome: Hashable, Sendable {
        case left(node: String)
        /// An earlier attempt had been broken off after the node had left, before the agent began anew.
        case completed
        /// The machine had joined nothing.
        case notJoined
    }

    private static let operation = "leave the cluster"

    private let configuration: Configuration
    private let access: ClusterAccess

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        access = ClusterAccess(configuration, logger: logger)
    }

    /// Leaves.
    ///
    /// - Parameters:
    ///   - force: leaves also when pods are left or the control plane does not answer; the Node stays there then.
    ///   - timeout: how long pods have to go, in seconds.
    /// - Throws: ``JoinError``.
    package func run(force: Bool, timeout: Int) async throws -> Outcome {
        let state = configuration.directories.state
        try JoinError.requireRoot(Self.operation)
        let name = try await leave(force: force, timeout: timeout)
        try Membership.remove(stateDirectory: state)
        try JoinClient.forgetAttempt(stateDirectory: state)
        let restart = AgentRestart(configuration)
        // Also where there is nothing to leave: an attempt may have ended just here.
        let wasRestarted = try restart.isPossible() ? try await restart.run(as: .server) : false
        return name.map { Outcome.left(node: $0) } ?? (wasRestarted ? .completed : .notJoined)
    }

    private func leave(force: Bool, timeout: Int) async throws -> String? {
        let membership: Membership?
        do {
            membership = try access.membership()
        } catch let error as ClusterFormationError where force {
            // A damaged membership cannot say good-bye.
            return error.path
        }
        guard let membership else { return nil }
        try await tell(membership, force: force, timeout: timeout)
        return membership.nodeName
    }

    private func tell(_ membership: Membership, force: Bool, timeout: Int) async throws {
        do {
            _ = try await access.asNode(membership) { client in
                try await client.rawPost(
                    JoinPath.leave, body: ["force": .bool(force), "timeoutSeconds": JSON(timeout)])
            }
        } catch let error as StatusError where error.isNotFound || error.code == 401 {
            // The node was removed already.
        } catch let error as StatusError where !force {
            throw JoinError(Self.operation, reason: error.message, remedy: "the control plane said so")
        } catch let error as ClientError where !force {
            throw JoinError(
                Self.operation, reason: error.reason,
                remedy: "start the control plane, or give --force and run 'swiftlet remove-node \(membership.nodeName)"
                    + " --force' there later")
        } catch is ClientError {
            // It was asked to leave also without the control plane.
        } catch is StatusError {
            // Nor does its refusal hold the node.
        }
    }
}
