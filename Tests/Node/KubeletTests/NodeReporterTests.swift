// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging
import Synchronization
import Testing

@testable import Kubelet

@Suite("The node's own object")
struct NodeReporterTests {
    private let cluster = MemoryCluster()

    private static func reporter(_ cluster: MemoryCluster, registers: Bool) -> NodeReporter {
        let writer = NodeStatusWriter(
            nodeName: "n1", addresses: ["10.0.0.1"], hostname: "n1", port: 10250, machine: .read(), version: "v1.36.0",
            runtimeVersion: "1", maxPods: 110, ephemeralStorage: 0)
        return NodeReporter(
            client: cluster, registers: registers, writer: { writer }, health: { .init() }, images: { [] }, taints: [],
            extraLabels: [:], clock: .system, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    @Test("a node that makes its Node does so")
    func registers() async throws {
        try await Self.reporter(cluster, registers: true).register()
        #expect(try await cluster.get(.nodes, namespace: nil, name: "n1").condition("Ready")?.isTrue == true)
    }

    @Test("a node whose Node others make waits for it, and makes none", .timeLimit(.minutes(1)))
    func waits() async throws {
        let reporter = Self.reporter(cluster, registers: false)
        try await withThrowingTaskGroup { group in
            group.addTask { try await reporter.register() }
            while cluster.state.withLock({ $0.requests }) < 2 { await Task.yield() }
            #expect(cluster.state.withLock { $0.objects.isEmpty })
            _ = try await cluster.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: "n1"))
            try await group.waitForAll()
        }
        let node = try await cluster.get(.nodes, namespace: nil, name: "n1")
        #expect(node.condition("Ready")?.isTrue == true && node.labels["kubernetes.io/os"] == "linux")
    }

    private func node() async throws -> KubeObject { try await cluster.get(.nodes, namespace: nil, name: "n1") }

    private func give(_ amount: JSON?) async throws -> KubeObject {
        var node = try await node()
        node.json["status", "capacity", "example.com/dongle"] = amount
        return try await cluster.update(.nodes, subresource: "status", object: node, options: .init())
    }

    @Test("pods may use what others give the node, until they take it away")
    func extendedResources() async throws {
        let reporter = Self.reporter(cluster, registers: true)
        // Nothing is said before the node is registered.
        #expect(!reporter.observe(KubeObject(.init("", "v1", "Node"), name: "n1")))
        try await reporter.register()
        let registered = try await node()
        #expect(!reporter.observe(registered))
        let given = try await give("3")
        #expect(reporter.observe(given))
        await reporter.refresh()
        var status = try await node().status
        #expect(status["allocatable"]?["example.com/dongle"] == "3")
        #expect(status["capacity"]?["example.com/dongle"] == "3")
        #expect(status["allocatable"]?["pods"] == "110")
        #expect(reporter.extendedResources == ["example.com/dongle": 3])
        let counted = try await node()
        #expect(!reporter.observe(counted))
        let taken = try await give(nil)
        #expect(reporter.observe(taken))
        await reporter.refresh()
        status = try await node().status
        #expect(status["allocatable"]?["example.com/dongle"] == nil)
        #expect(status["capacity"]?["example.com/dongle"] == nil)
        let cleared = try await node()
        #expect(!reporter.observe(cleared))
    }
}
