// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import Logging

@testable import APIServer

/// A clock that tests set.
struct FixedClock: WallClock {
    var now: Int64 = 1_790_000_000
}

/// A registry over a store in memory, with the default namespace.
struct TestRegistry {
    let storage = MemoryStorage()
    let registry: Registry
    let client: InProcessClient

    init() async throws {
        registry = Registry(
            storage: storage, settings: RegistrySettings(), clock: FixedClock(), logger: Logger(label: "test"))
        client = InProcessClient(
            registry, subresources: Subresources(registry: registry, tokens: nil), user: .loopback, manager: "test")
        _ = try await client.create(
            .init("", "v1", "namespaces"), object: KubeObject(.init("", "v1", "Namespace"), name: "default"))
    }
}

func configMap(_ name: String, namespace: String = "default", _ data: [String: String] = [:]) -> KubeObject {
    var object = KubeObject(.init("", "v1", "ConfigMap"), namespace: namespace, name: name)
    object.json["data"] = JSON(data)
    return object
}

func status(_ body: () async throws -> Void) async -> StatusError? {
    do {
        try await body()
        return nil
    } catch {
        return error as? StatusError
    }
}
