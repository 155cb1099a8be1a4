// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// What the API tells of its own place.
@Suite struct AdvertisementTests {
    @Test func theEndpointsOfTheServiceFollowAndAreWrittenOnce() async throws {
        try await ServedAPI.run { api in
            func endpoints() async throws -> KubeObject {
                try await api.client.get(.endpoints, namespace: "default", name: "kubernetes")
            }
            func slice() async throws -> KubeObject {
                try await api.client.get(.endpointSlices, namespace: "default", name: "kubernetes")
            }
            func addresses(_ object: KubeObject) -> [String] {
                object.json["subsets"]?.elements.flatMap { $0["addresses"]?.elements ?? [] }
                    .compactMap { $0["ip"]?.string } ?? []
            }
            #expect(try await addresses(endpoints()) == ["10.9.9.9"])
            let place = APIServerConfiguration.Advertisement(
                endpoint: .init(host: "10.9.9.10", port: 16443),
                servers: ["https://10.9.9.10:16443", "https://pi.local:16443"])
            try await api.server.advertise(place)
            #expect(try await addresses(endpoints()) == ["10.9.9.10"])
            let followed = try await slice()
            #expect(followed.json["endpoints"]?.elements.map { $0["addresses"] } == [["10.9.9.10"]])
            #expect(
                followed.annotations["swiftlet.io/api-servers"] == "https://10.9.9.10:16443 https://pi.local:16443")
            // Again: nothing is written, for the sake of the disk.
            let before = try await endpoints().resourceVersion
            try await api.server.advertise(place)
            #expect(try await endpoints().resourceVersion == before)
            #expect(try await slice().resourceVersion == followed.resourceVersion)
            // What somebody else wrote beside it stays.
            _ = try await api.client.patch(
                .endpointSlices, namespace: "default", name: "kubernetes", subresource: nil, type: .merge,
                patch: ["metadata": ["annotations": ["mine": "yes"]]], options: .init())
            try await api.server.advertise(
                .init(endpoint: place.endpoint, servers: ["https://10.9.9.10:16443"]))
            #expect(
                try await slice().annotations == ["mine": "yes", "swiftlet.io/api-servers": "https://10.9.9.10:16443"])
        }
    }
}
