// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Mirrors the Endpoints that users make for Services without a selector to EndpointSlices, which alone the service proxy
/// and DNS read.
package final class EndpointSliceMirroringController: ControlLoop {
    package let name = "endpointslicemirroring-controller"
    static let managedBy = "endpointslicemirroring-controller.k8s.io"

    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let services: Informer
    private let slices: Informer
    private let endpoints: Informer
    private let written = WrittenRevisions()
    private static let byService = "mirrored"

    package init(context: ControllerContext) {
        self.context = context
        services = context.informers.informer(.services)
        slices = context.informers.informer(.endpointSlices)
        endpoints = context.informers.informer(.endpoints)
        slices.addIndex(Self.byService) { slice in Self.mirroredService(slice).map { [$0.description] } ?? [] }
        queue.addChanges(of: endpoints)
        queue.addChanges(of: services)
        slices.addHandler { [queue] event in
            if let service = Self.mirroredService(event.object) { queue.add(service) }
        }
    }

    /// The Service of a slice that is this controller's.
    private static func mirroredService(_ slice: KubeObject) -> ObjectKey? {
        guard slice.labels[EndpointsController.managedByLabel] == managedBy,
            let service = slice.labels[EndpointsController.serviceLabel]
        else { return nil }
        return ObjectKey(namespace: slice.namespace, name: service)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await services.waitForSync()
        await slices.waitForSync()
        await endpoints.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard written.areSeen(key, by: slices) else { return .seconds(30) }
        var existing = slices.list(index: Self.byService, value: key.description)
            .filter { !$0.isBeingDeleted }
            .sorted { ($0.creationTimestamp ?? "", $0.name) < ($1.creationTimestamp ?? "", $1.name) }
        for content in wanted(key) {
            let index = existing.firstIndex {
                $0.json["addressType"] == content.addressType && $0.json["ports"]?.elements ?? [] == content.ports
            }
            try await write(content, over: index.map { existing.remove(at: $0) }, key)
        }
        for slice in existing { try await delete(slice, key) }
        if endpoints.get(key) == nil { written.forget(key) }
        return nil
    }

    /// What the slices are to hold: nothing unless there are Endpoints that want it, and a Service without a selector.
    private func wanted(_ key: ObjectKey) -> [Mirror] {
        guard let endpoints = endpoints.get(key), !endpoints.isBeingDeleted, MirroredEndpoints.isWanted(endpoints),
            let service = services.get(key), service.spec["selector"]?.members.isEmpty ?? true
        else { return [] }
        return MirroredEndpoints.contents(of: endpoints).map { Mirror(endpoints: endpoints, content: $0) }
    }

    /// One slice as it is to be.
    private struct Mirror: Sendable {
        let endpoints: KubeObject
        let content: MirroredEndpoints.Content
        var addressType: JSON { .string(content.addressType) }
        var ports: [JSON] { content.ports.elements }
    }

    private func write(_ mirror: Mirror, over current: KubeObject?, _ key: ObjectKey) async throws {
        var slice =
            current
            ?? KubeObject([
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "generateName": .string("\(key.name)-"), "namespace": .string(key.namespace),
                    "ownerReferences": [OwnerReference(controller: mirror.endpoints).json],
                ],
                "addressType": mirror.addressType,
            ])
        var labels = mirror.endpoints.labels
        labels[EndpointsController.serviceLabel] = key.name
        labels[EndpointsController.managedByLabel] = Self.managedBy
        let annotations = MirroredEndpoints.annotations(of: mirror.endpoints)
        slice.json["metadata", "labels"] = JSON(labels)
        slice.json["metadata", "annotations"] = annotations.isEmpty ? nil : JSON(annotations)
        slice.json["ports"] = mirror.content.ports
        slice.json["endpoints"] = mirror.content.endpoints
        guard let current else {
            written.note(key, try await context.client.create(.endpointSlices, object: slice))
            return
        }
        let isSame =
            current.labels == labels && current.annotations == annotations
            && current.json["endpoints"] == slice.json["endpoints"]
        if !isSame { written.note(key, try await context.client.update(.endpointSlices, object: slice)) }
    }

    private func delete(_ slice: KubeObject, _ key: ObjectKey) async throws {
        do {
            let deleted = try await context.client.delete(
                .endpointSlices, namespace: slice.namespace, name: slice.name, options: .init())
            written.note(key, deleted)
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }
}
