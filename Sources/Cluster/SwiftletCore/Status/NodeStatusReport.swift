// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
package import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging
import NIOCore
import NIOPosix
import PKI

/// What `swiftlet status` tells: the node as the API sees it, and the agent's memory.
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
    package var pods: Int
    package var runningPods: Int

    package var json: JSON {
        var result: JSON = [
            "api": ["answers": .bool(apiAnswers)],
            "node": [
                "name": .string(nodeName), "ready": .bool(isReady), "message": .string(readyMessage),
                "pods": JSON(pods), "runningPods": JSON(runningPods),
            ],
            "version": .string(ProductVersion.swiftlet),
        ]
        if !apiError.isEmpty { result["api", "error"] = .string(apiError) }
        return result
    }

    /// Asks the API of this node with the administrator's credentials.
    ///
    /// - Throws: ``ConfigurationError`` when the credentials cannot be read.
    package static func read(_ configuration: Configuration, logger: Logger) async throws -> NodeStatusReport {
        let name = try NodeIdentity.discover(configuration).name
        var report = NodeStatusReport(
            apiAnswers: false, apiError: "", nodeName: name, isReady: false, readyMessage: "", pods: 0, runningPods: 0)
        do {
            let client = try makeClient(configuration, logger: logger)
            let result: Result<Void, any Error>
            do {
                try await report.fill(from: client)
                result = .success(())
            } catch {
                result = .failure(error)
            }
            try await client.close()
            try result.get()
        } catch {
            report.apiError = "\(error)"
        }
        return report
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

    private static func makeClient(_ configuration: Configuration, logger: Logger) throws -> HTTPSClient {
        let directory = "\(configuration.directories.state)/pki"
        let host = configuration.api.bindAddress == "0.0.0.0" ? "127.0.0.1" : configuration.api.bindAddress
        var settings = HTTPSClientConfiguration(
            servers: ["https://\(host):\(configuration.api.port)"],
            tls: HTTPClientTLS(
                verification: .authorities(try Files.read("\(directory)/ca.crt")),
                identity: (try Files.read("\(directory)/admin.crt"), try Files.read("\(directory)/admin.key"))))
        // A status must be quick, also when it is bad.
        settings.limits.attempts = 1
        settings.limits.connectTimeout = .seconds(2)
        settings.limits.requestTimeout = .seconds(5)
        return try HTTPSClient(settings, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
    }
}
