// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// What LimitRanges fill in and refuse, in upstream's words.
@Suite struct LimitRangeTests {
    private static let ranges = GroupVersionResource("", "v1", "limitranges")

    private func server(_ limits: JSON) async throws -> TestRegistry {
        let test = try await TestRegistry()
        let account = KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default")
        _ = try await test.client.create(.init("", "v1", "serviceaccounts"), object: account)
        var range = KubeObject(.init("", "v1", "LimitRange"), namespace: "default", name: "r")
        range.spec = ["limits": [limits]]
        _ = try await test.client.create(Self.ranges, object: range)
        return test
    }

    private func pod(_ resources: JSON...) -> KubeObject {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
        pod.spec = [
            "containers": .array(
                resources.enumerated().map {
                    ["name": .string("c\($0.offset)"), "image": "i", "resources": $0.element]
                })
        ]
        return pod
    }

    private func problem(_ test: TestRegistry, _ resource: GroupVersionResource, _ object: KubeObject) async -> String?
    {
        let error = await status { _ = try await test.client.create(resource, object: object) }
        guard let error else { return nil }
        #expect(error.code == 403)
        let parts = error.message.split(separator: " is forbidden: ", maxSplits: 1)
        return parts.last.map(String.init)
    }

    @Test func podsAreSummedUp() async throws {
        let test = try await server(["type": "Pod", "max": ["cpu": "1"], "min": ["cpu": "100m"]])
        let half: JSON = ["requests": ["cpu": "600m"], "limits": ["cpu": "600m"]]
        #expect(await problem(test, .pods, pod(half, half)) == "maximum cpu usage per Pod is 1, but limit is 1200m")
        let little: JSON = ["requests": ["cpu": "20m"], "limits": ["cpu": "500m"]]
        #expect(await problem(test, .pods, pod(little)) == "minimum cpu usage per Pod is 100m, but request is 20m")
        #expect(
            await problem(test, .pods, pod([:]))
                == "[minimum cpu usage per Pod is 100m.  No request is specified, "
                + "maximum cpu usage per Pod is 1.  No limit is specified]")
        #expect(await problem(test, .pods, pod(half)) == nil)
    }

    @Test func limitsAreBoundByRequests() async throws {
        let test = try await server(["type": "Container", "maxLimitRequestRatio": ["memory": "2"]])
        let generous: JSON = ["requests": ["memory": "100Mi"], "limits": ["memory": "350Mi"]]
        #expect(
            await problem(test, .pods, pod(generous))
                == "memory max limit to request ratio per Container is 2, but provided ratio is 3.500000")
        #expect(
            await problem(test, .pods, pod(["requests": ["memory": "100Mi"]]))
                == "memory max limit to request ratio per Container is 2, but no limit is specified or limit is 0")
        let fair: JSON = ["requests": ["memory": "100Mi"], "limits": ["memory": "200Mi"]]
        #expect(await problem(test, .pods, pod(fair)) == nil)
    }

    @Test func requestsAboveTheMaximumAreTold() async throws {
        let test = try await server(["type": "Container", "min": ["cpu": "100m"], "max": ["cpu": "1"]])
        let resources: JSON = ["requests": ["cpu": "10m"], "limits": ["cpu": "2"]]
        #expect(
            await problem(test, .pods, pod(resources, resources))
                == "[minimum cpu usage per Container is 100m, but request is 10m, "
                + "maximum cpu usage per Container is 1, but limit is 2]")
    }

    @Test(arguments: [
        ("500Mi", "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 500Mi"),
        ("20Gi", "maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi"), ("5Gi", nil),
    ])
    func claimsAreBoundToo(storage: String, expected: String?) async throws {
        let test = try await server([
            "type": "PersistentVolumeClaim", "min": ["storage": "1Gi"], "max": ["storage": "10Gi"],
        ])
        var claim = KubeObject(.init("", "v1", "PersistentVolumeClaim"), namespace: "default", name: "c")
        claim.spec = [
            "accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": .string(storage)]],
        ]
        #expect(await problem(test, .persistentVolumeClaims, claim) == expected)
    }
}
