// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
import HostChecks
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging
import NIOPosix

/// `swiftlet join`: makes this machine a node of another cluster. Doing it again changes nothing.
package struct BoardJoin: Sendable {
    /// What is told while it lasts.
    package enum Progress: Hashable, Sendable {
        case contacting(String)
        case alreadyJoined
        case joined(node: String, warnings: [String])
        /// The agent has been asked to begin anew as a worker.
        case restarting
        /// There is no agent to ask.
        case agentIsStopped
        case ready
    }

    /// How to join.
    package struct Options: Sendable {
        package var nodeName: String?
        /// Leaves running pods of the machine's own cluster behind.
        package var force = false
        package var skipsVerification = false
        /// How long the node has to become ready.
        package var timeout = Duration.seconds(60)

        package init() {}
    }

    private static let operation = "join"
    private static let pause = Duration.milliseconds(100)
    /// How long this machine's own API may take to answer: the agent may just be starting.
    private static let patience = Duration.seconds(10)

    private let configuration: Configuration
    private let access: ClusterAccess
    private let logger: Logger

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
        access = ClusterAccess(configuration, logger: logger)
    }

    /// Joins and waits until the node is ready.
    ///
    /// - Throws: ``JoinError``.
    package func run(_ line: JoinLine, _ options: Options, progress: (Progress) -> Void) async throws {
        try JoinError.requireRoot(Self.operation)
        do {
            try await attempt(line, options, progress: progress)
        } catch let error as SystemError where error.isOutOfSpace {
            throw JoinError.diskFull(Self.operation, error)
        }
    }

    private func attempt(_ line: JoinLine, _ options: Options, progress: (Progress) -> Void) async throws {
        let restart = AgentRestart(configuration)
        let membership: Membership
        if let existing = try access.membership() {
            try check(existing, against: line)
            progress(.alreadyJoined)
            // What an attempt left that was broken off at the end.
            try JoinClient.forgetAttempt(stateDirectory: configuration.directories.state)
            membership = existing
        } else {
            // An agent that left another cluster without its command's end still works with the old membership.
            if try restart.isPossible() { try await restart.run(as: .server) }
            if !options.force { try await checkOwnCluster() }
            membership = try await join(line, options, progress: progress)
        }
        guard try restart.isPossible() else {
            progress(.agentIsStopped)
            return
        }
        if try await restart.run(as: .worker) { progress(.restarting) }
        try await waitUntilReady(membership, options.timeout)
        progress(.ready)
    }

    private func join(
        _ line: JoinLine, _ options: Options, progress: (Progress) -> Void
    ) async throws -> Membership {
        progress(.contacting(line.endpoint))
        var configuration = configuration
        if let name = options.nodeName { configuration.nodeName = name }
        let node = try NodeIdentity.discover(configuration)
        let state = configuration.directories.state
        let client = JoinClient(
            line: line,
            board: .init(
                nodeName: node.name, machineID: try Files.readText("/etc/machine-id"),
                addresses: node.addresses.filter { !$0.isLoopback }, version: ProductVersion.kubernetes,
                stateDirectory: state),
            group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        let result = try await client.join(
            skipsVerification: options.skipsVerification, now: .now())
        try checkIPv6(result.membership)
        try result.membership.create(stateDirectory: state)
        try JoinClient.forgetAttempt(stateDirectory: state)
        progress(.joined(node: node.name, warnings: result.warnings))
        return result.membership
    }

    /// The agent would not start on a kernel that lacks what the cluster gives pods.
    private func checkIPv6(_ membership: Membership) throws {
        let findings = NodeChecks.examine(configuration.joined(membership))
        guard let finding = findings.first(where: { $0.id == Finding.missingIPv6 }) else { return }
        throw JoinError(
            Self.operation, reason: finding.summary + ", and the cluster gives pods IPv6 addresses",
            remedy: "remove ipv6.disable=1 from the kernel's command line, start the machine anew and run the same"
                + " command again")
    }

    /// A machine is in one cluster at a time.
    private func check(_ membership: Membership, against line: JoinLine) throws {
        let known = try membership.fingerprints()
        if let fingerprint = line.fingerprint, known.contains(fingerprint) { return }
        if line.fingerprint == nil, membership.cluster.servers.contains("https://\(line.endpoint)") { return }
        throw JoinError(
            Self.operation,
            reason: "this machine is node \"\(membership.nodeName)\" of the cluster at"
                + " \(membership.cluster.servers.first ?? "?") already",
            remedy: "run 'swiftlet leave' first")
    }

    /// What runs in the machine's own cluster would end without a word.
    private func checkOwnCluster() async throws {
        guard try AgentLock.holder(runDirectory: configuration.directories.run) != nil else { return }
        let (nodes, pods) = try await ownNodesAndPods()
        guard nodes <= 1 else {
            throw JoinError(
                Self.operation, reason: "this machine is the control plane of \(nodes - 1) other nodes",
                remedy: "remove them first ('swiftlet remove-node'), or give --force to leave them behind")
        }
        guard pods.isEmpty else {
            throw JoinError(
                Self.operation,
                reason: "\(pods.count) pods run in this machine's own cluster: "
                    + pods.prefix(5).map(\.key.description).joined(separator: ", "),
                remedy: "delete them first, or give --force: they end then, and come back if this node leaves again")
        }
    }

    private func ownNodesAndPods() async throws -> (nodes: Int, pods: [KubeObject]) {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            do {
                return try await access.asAdministrator(Self.operation) { client in
                    let nodes = try await client.list(.nodes, namespace: nil, options: .init()).items
                    let pods = try await client.list(.pods, namespace: nil, options: .init()).items
                    return (nodes.count, pods.filter { $0.namespace != "kube-system" && PodView($0).isActive })
                }
            } catch let error as ClientError {
                guard ContinuousClock.now < deadline else {
                    throw JoinError(
                        Self.operation,
                        reason: "what runs in this machine's own cluster cannot be seen: \(error.reason)",
                        remedy: "see 'swiftlet status' and 'journalctl -u swiftlet', or give --force to join all the"
                            + " same")
                }
            }
            try await Task.sleep(for: Self.pause)
        }
    }

    private func waitUntilReady(_ membership: Membership, _ timeout: Duration) async throws {
        let deadline = ContinuousClock.now + timeout
        var last = "the node has not reported yet"
        while ContinuousClock.now < deadline {
            do {
                let node = try await access.asNode(membership) {
                    try await $0.get(.nodes, namespace: nil, name: membership.nodeName)
                }
                if let ready = node.condition("Ready") {
                    if ready.isTrue { return }
                    last = ready.message
                }
            } catch let error as ClientError {
                last = error.reason
            } catch let error as StatusError where error.isNotFound {
                throw JoinError(
                    Self.operation, reason: "the cluster has removed node \"\(membership.nodeName)\" since it joined",
                    remedy: "run 'swiftlet leave', then join with a new line of 'swiftlet add-node'")
            } catch let error as StatusError {
                // The server may be starting, or its disk full.
                last = error.message
            }
            try await Task.sleep(for: Self.pause)
        }
        throw JoinError(
            "become a ready node", reason: last,
            remedy:
                "the node has joined; see 'journalctl -u swiftlet' on this machine, and run the command again to wait")
    }
}
