// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

@testable import Scheduling

/// Nodes and pods for tests of the pure parts.
protocol SchedulingFixture {}

extension SchedulingFixture {
    func node(_ name: String, labels: [String: String] = [:], spec: JSON = [:], cpu: String = "2", pods: String = "2")
        -> NodeState
    {
        var node = KubeObject(.init("", "v1", "Node"), name: name)
        node.json["metadata", "labels"] = JSON(labels.merging(["kubernetes.io/hostname": name]) { $1 })
        node.spec = spec
        node.status = ["allocatable": ["cpu": .string(cpu), "memory": "1Gi", "pods": .string(pods)]]
        return NodeState(node)
    }

    func pod(_ name: String, spec: JSON = [:], labels: [String: String] = [:], status: JSON = [:]) -> PodDemand {
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.json["metadata", "labels"] = JSON(labels)
        pod.spec = spec
        pod.status = status
        return PodDemand(pod)
    }

    func container(cpu: String) -> JSON { ["name": "c", "resources": ["requests": ["cpu": .string(cpu)]]] }

    func snapshot(_ nodes: [NodeState], nominations: [String: [PodDemand]] = [:]) -> Filters.Snapshot {
        let logger = Logger(label: "test")
        return Filters.Snapshot(
            nodes: nodes, nominations: nominations, namespaceLabels: { _ in [:] },
            volumes: VolumeBindings(
                claims: Informer(.persistentVolumeClaims, client: NoClient(), logger: logger),
                volumes: Informer(.persistentVolumes, client: NoClient(), logger: logger)))
    }
}

/// Answers nothing: the filters under test read no volumes.
private struct NoClient: ResourceClient {
    private var refusal: StatusError { .internalError("not served in this test") }
    func get(_: GroupVersionResource, namespace: String?, name: String) async throws -> KubeObject { throw refusal }
    func list(_: GroupVersionResource, namespace: String?, options: ListOptions) async throws -> KubeList {
        throw refusal
    }
    func watch(_: GroupVersionResource, namespace: String?, options: WatchOptions) async throws -> WatchStream {
        throw refusal
    }
    func create(
        _: GroupVersionResource, namespace: String?, name: String?, subresource: String?, object: KubeObject,
        options: WriteOptions
    ) async throws -> KubeObject { throw refusal }
    func update(
        _: GroupVersionResource, subresource: String?, object: KubeObject, options: WriteOptions
    ) async throws -> KubeObject { throw refusal }
    func patch(
        _: GroupVersionResource, namespace: String?, name: String, subresource: String?, type: PatchType, patch: JSON,
        options: WriteOptions
    ) async throws -> KubeObject { throw refusal }
    func delete(
        _: GroupVersionResource, namespace: String?, name: String, options: DeleteOptions
    ) async throws -> KubeObject { throw refusal }
    func deleteCollection(
        _: GroupVersionResource, namespace: String?, selecting: ListOptions, options: DeleteOptions
    ) async throws { throw refusal }
}
