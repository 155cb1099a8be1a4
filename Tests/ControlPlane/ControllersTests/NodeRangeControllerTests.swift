// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Testing

@testable import Controllers

/// Ranges of nodes over the real API.
@Suite struct NodeRangeControllerTests {
    private static func network(_ text: String) throws -> IPNetwork { try #require(IPNetwork(text)) }

    private static func pools(_ ranges: (String, Int)...) throws -> [NodeRangePool] {
        try ranges.map { try #require(NodeRangePool(network($0.0), partsOf: $0.1)) }
    }

    /// Adds nodes and waits until all of them have ranges; the test's own limit ends a wait in vain.
    private func add(_ names: [String], _ api: ServedAPI) async throws -> [String: [String]] {
        for name in names {
            _ = try await api.client.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: name))
        }
        while true {
            let nodes = try await api.client.list(.nodes, namespace: nil, options: .init()).items
            let ranges = nodes.map { ($0.name, $0.spec["podCIDRs"]?.elements.compactMap(\.string) ?? []) }
            if ranges.allSatisfy({ !$0.1.isEmpty }) {
                #expect(nodes.allSatisfy { $0.spec["podCIDR"] == $0.spec["podCIDRs"]?[0] })
                return Dictionary(uniqueKeysWithValues: ranges)
            }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test(.timeLimit(.minutes(1))) func everyNodeGetsAPartOfEachFamilyOnce() async throws {
        try await ServedAPI.run { api in
            let own = [try Self.network("10.1.0.0/24"), try Self.network("fd42::/64")]
            func loop() throws -> (ControllerContext, NodeRangeController) {
                let context = api.controllerContext { KubeTime(seconds: 1_800_000_000) }
                let pools = try Self.pools(("10.1.0.0/16", 24), ("fd42::/56", 64))
                return (context, NodeRangeController(context: context, pools: pools, configured: ["own": own]))
            }
            let (context, first) = try loop()
            try await api.withControllers(context, [first]) {
                let ranges = try await add(["a", "own"], api)
                #expect(ranges["own"] == ["10.1.0.0/24", "fd42::/64"])
                #expect(ranges["a"] == ["10.1.1.0/24", "fd42:0:0:1::/64"])
            }
            // Another run knows what was given, and gives again what a deleted node had.
            _ = try await api.client.delete(.nodes, namespace: nil, name: "a", options: .init())
            let (again, second) = try loop()
            try await api.withControllers(again, [second]) {
                let ranges = try await add(["b", "c"], api)
                #expect(Set(ranges.values.joined()).count == 6)
                #expect(ranges["own"] == ["10.1.0.0/24", "fd42::/64"])
            }
        }
    }

    @Test(.timeLimit(.minutes(1))) func whatANodeHasIsNeverChanged() async throws {
        try await ServedAPI.run { api in
            var old = KubeObject(.init("", "v1", "Node"), name: "old")
            old.spec = ["podCIDR": "10.1.0.0/24", "podCIDRs": ["10.1.0.0/24"]]
            _ = try await api.client.create(.nodes, object: old)
            let context = api.controllerContext { KubeTime(seconds: 1_800_000_000) }
            let pools = try Self.pools(("10.1.0.0/16", 24), ("fd42::/56", 64))
            try await api.withControllers(context, [NodeRangeController(context: context, pools: pools)]) {
                let ranges = try await add(["new"], api)
                #expect(ranges == ["old": ["10.1.0.0/24"], "new": ["10.1.1.0/24", "fd42::/64"]])
            }
        }
    }
}
