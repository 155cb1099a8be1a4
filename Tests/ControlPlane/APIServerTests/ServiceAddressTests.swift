// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import JSON
import KubeAPI
import KubeClient
import Storage
import Testing

@testable import APIServer

/// IPAddress and ServiceCIDR objects, and how Services' addresses show in them.
@Suite struct ServiceAddressTests {
    private static let addresses = GroupVersionResource("networking.k8s.io", "v1", "ipaddresses")
    private static let ranges = GroupVersionResource("networking.k8s.io", "v1", "servicecidrs")

    private static func service(_ name: String, address: String = "") -> KubeObject {
        var service = KubeObject(.init("", "v1", "Service"), namespace: "default", name: name)
        service.spec = ["ports": [["port": 80]]]
        if !address.isEmpty { service.spec["clusterIP"] = .string(address) }
        return service
    }

    private static func record(_ address: String, parent: JSON?) -> KubeObject {
        var record = KubeObject(.init("networking.k8s.io", "v1", "IPAddress"), name: address)
        record.spec = [:]
        if let parent { record.spec["parentRef"] = parent }
        return record
    }

    private static func names(_ test: TestRegistry) async throws -> [String] {
        try await test.client.list(addresses, namespace: nil, options: .init()).items.map(\.name)
    }

    @Test func aServicesAddressIsAnObject() async throws {
        let test = try await TestRegistry()
        let service = try await test.client.create(.services, object: Self.service("web"))
        let address = try #require(service.spec["clusterIP"]?.string)
        let record = try await test.client.get(Self.addresses, namespace: nil, name: address)
        #expect(
            record.labels == [
                "ipaddress.kubernetes.io/ip-family": "IPv4",
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            ])
        #expect(
            record.spec["parentRef"] == [
                "group": "", "resource": "services", "namespace": "default", "name": "web",
            ])
        // A Service without an address of its own has none.
        _ = try await test.client.create(.services, object: Self.service("headless", address: "None"))
        #expect(try await Self.names(test) == [address])
        var outside = service
        outside.spec = ["type": "ExternalName", "externalName": "example.com"]
        _ = try await test.client.update(.services, object: outside)
        #expect(try await Self.names(test).isEmpty)
        let again = try await test.client.create(.services, object: Self.service("again", address: address))
        #expect(try await Self.names(test) == [address])
        try await test.client.delete(.services, namespace: "default", name: again.name, options: .init())
        #expect(try await Self.names(test).isEmpty)
    }

    @Test func aWriteThatFailsFreesNoNodePortOfAnother() async throws {
        let test = try await TestRegistry()
        var service = Self.service("web")
        service.spec = ["type": "NodePort", "ports": [["port": 80]]]
        let before = try await test.client.create(.services, object: service)
        var wider = before
        wider.json["spec", "ports"] = [
            ["name": "a", "port": 80, "nodePort": before.spec["ports"]?[0]?["nodePort"] ?? 0],
            ["name": "b", "port": 81, "nodePort": 30123],
        ]
        _ = try await test.client.update(.services, object: wider)
        // An attempt that began with the older state ends now, in vain.
        let served = try test.registry.served(.services)
        let late = Change(
            operation: .update, served: served, subresource: "", old: before, user: .loopback, isDryRun: false,
            isTrusted: true, warnings: Warnings(), registry: test.registry)
        await served.behaviour.abandoned(late, before)
        var other = Self.service("other")
        other.spec = ["type": "NodePort", "ports": [["port": 80, "nodePort": 30123]]]
        let error = await status { [other] in _ = try await test.client.create(.services, object: other) }
        #expect(error?.message.contains("provided port is already allocated") == true)
    }

    @Test func aForeignRecordKeepsItsAddressFree() async throws {
        let test = try await TestRegistry()
        let parent: JSON = ["group": "gateway.networking.k8s.io", "resource": "gateways", "name": "g"]
        _ = try await test.client.create(Self.addresses, object: Self.record("10.152.0.77", parent: parent))
        let error = await status {
            _ = try await test.client.create(.services, object: Self.service("web", address: "10.152.0.77"))
        }
        #expect(error?.message.contains("failed to allocate IP 10.152.0.77: provided IP is already allocated") == true)
        try await test.client.delete(Self.addresses, namespace: nil, name: "10.152.0.77", options: .init())
        _ = try await test.client.create(.services, object: Self.service("web", address: "10.152.0.77"))
    }

    @Test func recordsAreRepairedAtTheStart() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.services, object: Self.service("web", address: "10.152.0.5"))
        try await test.client.delete(Self.addresses, namespace: nil, name: "10.152.0.5", options: .init())
        var left = Self.record("10.152.0.6", parent: ["resource": "services", "namespace": "default", "name": "gone"])
        left.json["metadata", "labels"] = ["ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io"]
        _ = try await test.client.create(Self.addresses, object: left)
        try await ServiceAddressRecords(test.registry).repair()
        #expect(try await Self.names(test) == ["10.152.0.5"])
        let before = test.storage.snapshot().revision
        try await ServiceAddressRecords(test.registry).repair()
        #expect(test.storage.snapshot().revision == before)
    }

    @Test func malformedObjectsAreRefused() async throws {
        let test = try await TestRegistry()
        func refusal(_ resource: GroupVersionResource, _ object: KubeObject) async -> String? {
            await status { _ = try await test.client.create(resource, object: object) }?.message
        }
        #expect(
            await refusal(Self.addresses, Self.record("10.152.0.9", parent: nil))
                == #"IPAddress.networking.k8s.io "10.152.0.9" is invalid: spec.parentRef: Required value"#)
        var range = KubeObject(.init("networking.k8s.io", "v1", "ServiceCIDR"), name: "more")
        range.spec = ["cidrs": ["10.1.0.0/24", "10.2.0.0/24"]]
        #expect(
            await refusal(Self.ranges, range)?.contains("may specify no more than one IP for each IP family") == true)
        range.spec = ["cidrs": ["10.1.0.0/24"]]
        var made = try await test.client.create(Self.ranges, object: range)
        made.spec = ["cidrs": ["10.3.0.0/24"]]
        let changed = await status { [made] in _ = try await test.client.update(Self.ranges, object: made) }
        #expect(changed?.message.contains("spec.cidrs[0]: Invalid value: \"10.3.0.0/24\": field is immutable") == true)
        made.spec = ["cidrs": ["10.1.0.0/24", "fd00::/112"]]
        _ = try await test.client.update(Self.ranges, object: made)
    }

    /// What every cluster has from the beginning.
    @Test func aNewClusterHasItsRangeAndItsFlowControl() async throws {
        try await ServedAPI.run { api in
            let range = try await api.client.get(Self.ranges, namespace: nil, name: "kubernetes")
            #expect(range.spec["cidrs"] == ["10.152.0.0/16"])
            #expect(range.condition("Ready")?.status == "True")
            #expect(range.condition("Ready")?.message == "Kubernetes default Service CIDR is ready")
            let address = try await api.client.get(Self.addresses, namespace: nil, name: "10.152.0.1")
            #expect(address.spec["parentRef"]?["name"] == "kubernetes")
            let group = "flowcontrol.apiserver.k8s.io"
            let levels = try await api.client.list(
                .init(group, "v1", "prioritylevelconfigurations"), namespace: nil, options: .init())
            #expect(
                levels.items.map(\.name) == [
                    "catch-all", "exempt", "global-default", "leader-election", "node-high", "system",
                    "workload-high", "workload-low",
                ])
            let schemas = try await api.client.list(
                .init(group, "v1", "flowschemas"), namespace: nil, options: .init())
            #expect(schemas.items.count == 13)
            for schema in schemas.items { #expect(schema.condition("Dangling")?.status == "False", "\(schema.name)") }
            // A schema without its level says so.
            var lost = KubeObject(.init(group, "v1", "FlowSchema"), name: "lost")
            lost.spec = ["priorityLevelConfiguration": ["name": "nothing"], "matchingPrecedence": 1000]
            let made = try await api.client.create(.init(group, "v1", "flowschemas"), object: lost)
            #expect(made.condition("Dangling")?.reason == "NotFound")
        }
    }
}
