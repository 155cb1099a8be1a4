// SPDX-License-Identifier: Apache-2.0

package import ClusterFormation
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging
import PKI

/// `swiftlet certificates rotate-ca`: replaces the cluster's authority in steps of which each leaves a cluster that works.
///
/// What comes next is decided by ``RotationMachine``; this looks at files, the agent and the Nodes, and does it.
package struct AuthorityRotation: Sendable {
    /// What is told while it lasts.
    package enum Progress: Hashable, Sendable {
        /// The new authority is made, and both are trusted from now on.
        case prepared(fingerprint: String)
        /// The new authority signs.
        case activated(fingerprint: String)
        /// The old authority is trusted no more.
        case dropped
        /// The new authority was given up.
        case discarded
        case waiting(RotationMachine.Awaited)
    }

    private static let operation = "replace the cluster's authority"
    private static let pause = Duration.milliseconds(100)

    private let configuration: Configuration
    private let access: ClusterAccess

    package init(_ configuration: Configuration, logger: Logger) {
        self.configuration = configuration
        access = ClusterAccess(configuration, logger: logger)
    }

    /// Goes on until the goal is reached.
    ///
    /// - Parameters:
    ///   - force: drops the old authority also when nodes need it.
    ///   - limit: how long agents have for each step.
    /// - Returns: nodes that were away and come after by themselves.
    /// - Throws: ``JoinError``; the same command goes on from where this one has stopped.
    package func run(
        _ goal: RotationMachine.Goal, force: Bool, within limit: Duration, progress: (Progress) -> Void
    ) async throws -> [String] {
        try checkPlace()
        let files = AuthorityFiles(directory: configuration.keyDirectory)
        let machine = RotationMachine(goal, force: force)
        var handover = CertificateHandover(configuration)
        var waiting: (awaited: RotationMachine.Awaited, deadline: ContinuousClock.Instant)?
        while true {
            let action = machine.next(try await view(files, &handover))
            switch action {
            case .prepare:
                let set = try files.prepare(now: FileTime.now().seconds)
                progress(.prepared(fingerprint: set.next.map { hexadecimal($0.fingerprint) } ?? ""))
            case .activate:
                let set = try files.activate()
                progress(.activated(fingerprint: hexadecimal(set.signing.certificate.fingerprint)))
            case .drop:
                try files.drop()
                progress(.dropped)
            case .discard:
                try files.discard()
                progress(.discarded)
            case .done(let left): return left
            case .refuse(let reason, let remedy): throw JoinError(Self.operation, reason: reason, remedy: remedy)
            case .wait(let awaited):
                if waiting?.awaited != awaited {
                    progress(.waiting(awaited))
                    waiting = (awaited, ContinuousClock.now + limit)
                }
                if let waiting, ContinuousClock.now > waiting.deadline { throw Self.timeout(awaited, limit) }
                try await Task.sleep(for: Self.pause)
            }
            if case .wait = action { continue }
            waiting = nil
            // The agent is told at once.
            handover = CertificateHandover(configuration)
        }
    }

    private func checkPlace() throws {
        try JoinError.requireRoot(Self.operation)
        if let membership = try access.membership() {
            throw JoinError(
                Self.operation,
                reason: "this node is a worker of the cluster at \(membership.cluster.servers.first ?? "?")",
                remedy: "run it on the control plane")
        }
        guard try AgentLock.holder(runDirectory: configuration.directories.run)?.role == .server else {
            throw JoinError(
                Self.operation, reason: "the agent does not run, which hands the authorities out",
                remedy: "start it with 'systemctl start swiftlet' and run the command again")
        }
    }

    private func view(
        _ files: AuthorityFiles, _ handover: inout CertificateHandover
    ) async throws -> RotationMachine.View {
        let set = try files.load()
        var use = try CertificatesInUse.read(runDirectory: configuration.directories.run)
        let fingerprints = set.fingerprints
        // Telling an agent that knows already is not needed.
        if use?.authorities != fingerprints || use?.certifiedBy != fingerprints.first { use = try handover.look() }
        return RotationMachine.View(
            phase: set.phase, authorities: fingerprints, agent: use?.use ?? .init(), workers: try await workers())
    }

    /// All nodes but this one.
    private func workers() async throws -> [RotationMachine.Node] {
        let own = try NodeIdentity.discover(configuration).name
        let nodes = try await access.asAdministrator(Self.operation) { client in
            try await client.list(.nodes, namespace: nil, options: .init()).items
        }
        return nodes.filter { $0.name != own }.map { node in
            RotationMachine.Node(
                name: node.name, isReady: node.condition("Ready")?.isTrue ?? false, use: NodeCertificates.use(node))
        }
    }

    private static func timeout(_ awaited: RotationMachine.Awaited, _ limit: Duration) -> JoinError {
        let (who, remedy) =
            switch awaited {
            case .agent: ("the agent does not use what is on disk", "see 'swiftlet logs'")
            case .trust(let nodes):
                (
                    "these nodes do not trust the new authority yet: \(nodes.joined(separator: ", "))",
                    "see 'swiftlet logs' there; they need this version of Swiftlet"
                )
            case .certificates(let nodes):
                (
                    "these nodes have no certificates by the new authority yet: \(nodes.joined(separator: ", "))",
                    "see 'swiftlet logs' there and 'kubectl get csr'"
                )
            }
        return JoinError(
            operation, reason: "\(who) (waited \(limit))",
            remedy: "\(remedy). Nothing is broken; run the same command again to go on")
    }
}
