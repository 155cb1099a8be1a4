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
    private let slices: ManagedSlices
    private let endpoints: Informer

    package init(context: ControllerContext) {
        self.context = context
        services = context.informers.informer(.services)
        slices = ManagedSlices(Self.managedBy, context: context)
        endpoints = context.informers.informer(.endpoints)
        queue.addChanges(of: endpoints)
        queue.addChanges(of: services)
        slices.informer.addHandler { [queue, slices] event in
            if let service = slices.service(of: event.object) { queue.add(service) }
        }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await services.waitForSync()
        await slices.informer.waitForSync()
        await endpoints.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard slices.areSeen(of: key) else { return .seconds(30) }
        var existing = slices.usable(of: key)
        for content in wanted(key) {
            let index = existing.firstIndex {
                $0.json["addressType"] == content.addressType && $0.json["ports"]?.elements ?? [] == content.ports
            }
            try await write(content, over: index.map { existing.remove(at: $0) }, key)
        }
        for slice in existing { try await slices.delete(slice, key) }
        if endpoints.get(key) == nil { slices.forget(key) }
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
        var slice = slices.slice(of: key, owner: mirror.endpoints, over: current)
        slice.json["addressType"] = mirror.addressType
        let annotations = MirroredEndpoints.annotations(of: mirror.endpoints)
        slice.json["metadata", "annotations"] = annotations.isEmpty ? nil : JSON(annotations)
        slice.json["ports"] = mirror.content.ports
        slice.json["endpoints"] = mirror.content.endpoints
        let isSame = current.map {
            $0.labels == slice.labels && $0.annotations == annotations
                && $0.json["endpoints"] == slice.json["endpoints"]
        }
        if isSame != true { try await slices.write(slice, isNew: current == nil, key) }
    }
}
