// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import LinuxSystem
import Logging

/// Runs this machine's part in a cluster: as a worker of the cluster that it has joined, otherwise as a control plane with a
/// node of its own.
struct NodeComposition: Sendable {
    let configuration: Configuration
    /// Tells that certificates on disk are others.
    let notice: CertificateNotice
    /// Told the kubelet, for the end of the machine.
    let farewell: Farewell
    let logger: Logger

    init(_ configuration: Configuration, _ notice: CertificateNotice, _ farewell: Farewell, _ logger: Logger) {
        self.configuration = configuration
        self.notice = notice
        self.farewell = farewell
        self.logger = logger
    }

    func run() async throws {
        // It may decide what this machine is.
        try StateReplacement.finish(in: configuration.directories.state)
        let membership = try Membership.load(stateDirectory: configuration.directories.state)
        let effective = membership.map { configuration.joined($0) } ?? configuration
        var logger = logger
        logger[metadataKey: "node"] = .string(try NodeIdentity.name(effective))
        let findings = try NodeChecks.requireFitHost(effective, logger.component("checks"))
        try makeDirectories()
        let lock = try AgentLock(
            runDirectory: configuration.directories.run, role: membership == nil ? .server : .worker)
        if let membership {
            try await WorkerComposition(effective, membership, findings, notice, farewell, logger).run()
        } else {
            try await ServerComposition(effective, findings, notice, farewell, logger).run()
        }
        lock.release()
    }

    private func makeDirectories() throws {
        let directories = configuration.directories
        try Files.makeDirectories(directories.state, permissions: 0o711)
        try Files.makeDirectories(directories.run, permissions: 0o711)
        try Files.makeDirectories(directories.configuration)
    }
}
