// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging
import NIOCore

/// `swiftlet leave`: takes this machine out of the cluster that it has joined; it is a cluster of its own then, as before.
package struct BoardLeave: Sendable {
    /// What came of it.
    package enum Outcome: Hashable, Sendable {
        case left(node: String)
        /// The board is a cluster of its own, but its Node may still be in the one that it was part of.
        case leftBehind(node: String, reason: String)
        /// An earlier attempt had been broken off after the node had left, before the agent began anew.
        case completed
        /// The machine had joined nothing.
        case notJoined
    }

    private static let operation = "leave the cluster"
    /// How much longer than pods have to go the control plane may take for all of it.
    private static let margin = TimeAmount.seconds(30)

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
    ///   - timeout: how long pods have to go, in seconds; at most `JoinPath.longestLeave`.
    /// - Throws: ``JoinError``.
    package func run(force: Bool, timeout: Int) async throws -> Outcome {
        let state = configuration.directories.state
        try JoinError.requireRoot(Self.operation)
        let outcome = try await leave(force: force, timeout: timeout)
        try Membership.remove(stateDirectory: state)
        try JoinClient.forgetAttempt(stateDirectory: state)
        let restart = AgentRestart(configuration)
        // Also where there is nothing to leave: an attempt may have ended just here.
        let wasRestarted = try restart.isPossible() ? try await restart.run(as: .server) : false
        return outcome ?? (wasRestarted ? .completed : .notJoined)
    }

    /// - Returns: nil where there is nothing to leave.
    private func leave(force: Bool, timeout: Int) async throws -> Outcome? {
        let membership: Membership?
        do {
            membership = try access.membership()
        } catch let error as ClusterFormationError where force {
            // A damaged membership cannot say good-bye.
            return .leftBehind(node: try NodeIdentity.name(configuration), reason: error.reason)
        }
        guard let membership else { return nil }
        do {
            let patience = TimeAmount.seconds(Int64(timeout)) + Self.margin
            _ = try await access.asNode(membership, patience: patience) { client in
                try await client.rawPost(
                    JoinPath.leave, body: ["force": .bool(force), "timeoutSeconds": JSON(timeout)])
            }
            return .left(node: membership.nodeName)
        } catch {
            return try Self.outcome(of: error, node: membership.nodeName, force: force)
        }
    }

    /// What it means that the control plane did not let the node go.
    ///
    /// - Throws: ``JoinError`` where the board stays for that.
    static func outcome(of error: any Error, node: String, force: Bool) throws -> Outcome {
        switch error {
        case let error as StatusError where error.isNotFound:
            // It was removed already.
            return .left(node: node)
        case let error as StatusError where force: return .leftBehind(node: node, reason: error.message)
        case let error as ClientError where force: return .leftBehind(node: node, reason: error.reason)
        case let error as StatusError where error.code == 401:
            throw JoinError(
                operation, reason: "the control plane does not accept this node's certificate (\(error.message))",
                remedy: "give --force, and run 'swiftlet remove-node \(node) --force' on the control plane")
        case let error as StatusError:
            throw JoinError(operation, reason: error.message, remedy: "the control plane said so")
        case let error as ClientError:
            throw JoinError(
                operation, reason: error.reason,
                remedy: "see that the control plane runs and that this board reaches it, or give --force and run"
                    + " 'swiftlet remove-node \(node) --force' there later")
        default: throw error
        }
    }
}
