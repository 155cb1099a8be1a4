// SPDX-License-Identifier: Apache-2.0

import APIServer
import APIServerFixture
import JSON
import KubeAPI
import KubeClient
import Testing

@testable import Controllers

/// EndpointSlices that mirror Endpoints without a selector.
@Suite(.timeLimit(.minutes(1))) struct MirroredEndpointsTests {
    private static func endpoints(_ subsets: JSON, metadata: JSON = [:]) -> KubeObject {
        var object = KubeObject(.init("", "v1", "Endpoints"), namespace: "default", name: "outside")
        for (key, value) in metadata.members { object.json["metadata", key] = value }
        object.json["subsets"] = subsets
        return object
    }

    @Test func addressesAreSortedByFamilyAndPorts() {
        let web: JSON = [["port": 80], ["name": "alt", "port": 8080, "protocol": "UDP", "appProtocol": "h2c"]]
        let contents = MirroredEndpoints.contents(
            of: Self.endpoints([
                [
                    "addresses": [["ip": "10.0.0.1", "hostname": "a", "nodeName": "n"], ["ip": "fd00::1"]],
                    "notReadyAddresses": [["ip": "10.0.0.2", "targetRef": ["kind": "Pod", "name": "p"]]], "ports": web,
                ],
                ["addresses": [["ip": "10.0.0.3"]], "ports": web], ["addresses": [["ip": "10.0.0.4"]]],
                ["ports": [["port": 1]]],
            ]))
        let ports: JSON = [
            ["name": "", "port": 80, "protocol": "TCP"],
            ["name": "alt", "port": 8080, "protocol": "UDP", "appProtocol": "h2c"],
        ]
        #expect(
            contents == [
                .init(
                    addressType: "IPv4", ports: ports,
                    endpoints: [
                        [
                            "addresses": ["10.0.0.1"], "conditions": ["ready": true], "hostname": "a", "nodeName": "n",
                        ],
                        [
                            "addresses": ["10.0.0.2"], "conditions": ["ready": false],
                            "targetRef": ["kind": "Pod", "name": "p"],
                        ],
                        ["addresses": ["10.0.0.3"], "conditions": ["ready": true]],
                    ]),
                .init(
                    addressType: "IPv6", ports: ports,
                    endpoints: [["addresses": ["fd00::1"], "conditions": ["ready": true]]]),
                .init(
                    addressType: "IPv4", ports: [],
                    endpoints: [["addresses": ["10.0.0.4"], "conditions": ["ready": true]]]),
            ])
    }

    @Test func slicesAndSubsetsAreBounded() {
        let addresses = (0..<1100).map { number -> JSON in ["ip": .string("10.0.\(number / 250).\(number % 250)")] }
        let contents = MirroredEndpoints.contents(of: Self.endpoints([["addresses": .array(addresses)]]))
        #expect(contents.map(\.endpoints.elements.count) == Array(repeating: 100, count: 10))
    }

    @Test func locksAndWhatIsMarkedAreLeftAlone() {
        #expect(MirroredEndpoints.isWanted(Self.endpoints([])))
        let marked: JSON = ["labels": ["endpointslice.kubernetes.io/skip-mirror": "true"]]
        #expect(!MirroredEndpoints.isWanted(Self.endpoints([], metadata: marked)))
        let lock: JSON = ["annotations": ["control-plane.alpha.kubernetes.io/leader": "{}"]]
        #expect(!MirroredEndpoints.isWanted(Self.endpoints([], metadata: lock)))
    }

    private static func waitForSlices(
        of api: ServedAPI, _ isWanted: ([KubeObject]) -> Bool
    ) async throws -> [KubeObject] {
        while true {
            let options = ListOptions(labelSelector: "kubernetes.io/service-name=outside")
            let slices = try await api.client.list(.endpointSlices, namespace: "default", options: options).items
            if isWanted(slices) { return slices }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func slicesFollowTheirEndpoints() async throws {
        try await ServedAPI.run { api in
            let context = api.controllerContext()
            try await api.withControllers(context, [EndpointSliceMirroringController(context: context)]) {
                let metadata: JSON = [
                    "labels": ["team": "a"],
                    "annotations": ["kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "kept"],
                ]
                var endpoints = try await api.client.create(
                    .endpoints,
                    object: Self.endpoints(
                        [["addresses": [["ip": "192.0.2.1"]], "ports": [["port": 80]]]], metadata: metadata))
                // Only with its Service there is somebody to read them.
                var service = KubeObject(.init("", "v1", "Service"), namespace: "default", name: "outside")
                service.spec = ["ports": [["port": 80]]]
                service = try await api.client.create(.services, object: service)
                let slice = try #require(try await Self.waitForSlices(of: api) { $0.count == 1 }.first)
                #expect(
                    slice.labels == [
                        "team": "a", "kubernetes.io/service-name": "outside",
                        "endpointslice.kubernetes.io/managed-by": "endpointslicemirroring-controller.k8s.io",
                    ])
                #expect(slice.annotations == ["note": "kept"])
                #expect(slice.name.hasPrefix("outside-"))
                #expect(slice.controller?.uid == endpoints.uid)
                #expect(slice.json["endpoints"] == [["addresses": ["192.0.2.1"], "conditions": ["ready": true]]])

                // A change is taken over in place.
                endpoints.json["subsets"] = [["addresses": [["ip": "192.0.2.2"]], "ports": [["port": 80]]]]
                endpoints = try await api.client.update(.endpoints, object: endpoints)
                let changed = try await Self.waitForSlices(of: api) { slices in
                    slices.first?.json["endpoints"]?.elements.first?["addresses"] == ["192.0.2.2"]
                }
                #expect(changed.map(\.uid) == [slice.uid])

                // With a selector the Service has slices of another controller.
                service.spec["selector"] = ["app": "x"]
                service = try await api.client.update(.services, object: service)
                _ = try await Self.waitForSlices(of: api, \.isEmpty)
                service.spec["selector"] = nil
                _ = try await api.client.update(.services, object: service)
                _ = try await Self.waitForSlices(of: api) { $0.count == 1 }

                endpoints.json["metadata", "labels"] = ["endpointslice.kubernetes.io/skip-mirror": "true"]
                endpoints = try await api.client.update(.endpoints, object: endpoints)
                _ = try await Self.waitForSlices(of: api, \.isEmpty)
                endpoints.json["metadata", "labels"] = nil
                _ = try await api.client.update(.endpoints, object: endpoints)
                _ = try await Self.waitForSlices(of: api) { $0.count == 1 }
                try await api.client.delete(.endpoints, namespace: "default", name: "outside", options: .init())
                _ = try await Self.waitForSlices(of: api, \.isEmpty)
            }
        }
    }
}
