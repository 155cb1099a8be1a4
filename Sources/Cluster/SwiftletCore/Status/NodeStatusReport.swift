// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
package import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging

/// What `swiftlet status` tells: the node as the API sees it, and what the machine says of it.
package struct NodeStatusReport: Sendable {
    /// Whether the API answers.
    package var apiAnswers: Bool
    /// Why it does not.
    package var apiError: String
    package var nodeName: String
    /// Whether the node's condition `Ready` is true.
    package var isReady: Bool
    /// The message of the condition.
    package var readyMessage: String
    /// What to do to bring a broken-off change of the machine's part in a cluster to its end; empty where there is none.
    package var unfinished = ""
    package var pods: Int
    package var runningPods: Int
    /// What the node does in the cluster.
    package var roles: [String] = []
    /// What needs no API.
    package var local = LocalStatus(storeBytes: nil, certificates: [], components: [])

    package var json: JSON {
        var result: JSON = [
            "api": ["answers": .bool(apiAnswers)],
            "node": [
                "name": .string(nodeName), "ready": .bool(isReady), "message": .string(readyMessage),
                "pods": JSON(pods), "runningPods": JSON(runningPods), "roles": JSON(roles),
            ],
            "version": .string(ProductVersion.swiftlet),
        ]
        if !unfinished.isEmpty { result["node", "unfinished"] = .string(unfinished) }
        if !apiError.isEmpty { result["api", "error"] = .string(apiError) }
        for (name, value) in local.json.members { result[name] = value }
        return result
    }

    /// ``json`` in YAML.
    ///
    /// - Throws: what the serialiser reports; it takes every value.
    package func yaml() throws -> String { try YAMLDocument.text(json) }

    /// Asks the API with the administrator's credentials, or on a worker with the node's.
    ///
    /// - Throws: ``ConfigurationError`` when the credentials cannot be read.
    package static func read(_ configuration: Configuration, logger: Logger) async throws -> NodeStatusReport {
        let name = try NodeIdentity.discover(configuration).name
        var report = NodeStatusReport(
            apiAnswers: false, apiError: "", nodeName: name, isReady: false, readyMessage: "", pods: 0, runningPods: 0)
        report.local = LocalStatus.read(configuration)
        do {
            let access = ClusterAccess(configuration, logger: logger)
            let membership = try access.membership()
            report.nodeName = membership?.nodeName ?? name
            report.roles = membership == nil ? ["control-plane", "worker"] : ["worker"]
            report.unfinished = unfinished(configuration, isMember: membership != nil)
            report = try await access.asLocalIdentity { client in
                var filled = report
                try await filled.fill(from: client)
                return filled
            }
        } catch let error as StatusError where error.isNotFound && report.roles == ["worker"] {
            report.apiAnswers = true
            report.unfinished =
                "the cluster has removed this node: run 'swiftlet leave' to make this board a cluster of its own again, and"
                + " 'swiftlet join' with a new line to come back"
        } catch {
            report.apiError = "\(error)"
        }
        return report
    }

    /// A command that is broken off between the change on disk and the agent's new beginning leaves the two different.
    private static func unfinished(_ configuration: Configuration, isMember: Bool) -> String {
        // Who may not look into the run directory sees no agent.
        let role = (try? AgentLock.holder(runDirectory: configuration.directories.run))?.role
        if role == .server, isMember {
            return "this board has joined a cluster, but its agent still runs its own: run the same 'swiftlet join'"
                + " again, or 'systemctl restart swiftlet'"
        }
        if role == .worker, !isMember {
            return "this board has left its cluster, but its agent does not know it yet: run 'swiftlet leave' again, or"
                + " 'systemctl restart swiftlet'"
        }
        return ""
    }

    private mutating func fill(from client: HTTPSClient) async throws {
        let node = try await client.get(.nodes, namespace: nil, name: nodeName)
        apiAnswers = true
        isReady = node.condition("Ready")?.isTrue ?? false
        readyMessage = node.condition("Ready")?.message ?? ""
        let all = try await client.list(
            .pods, namespace: nil, options: .init(fieldSelector: "spec.nodeName=\(nodeName)"))
        pods = all.items.count
        runningPods = all.items.count { $0.status["phase"]?.string == "Running" }
    }
}
