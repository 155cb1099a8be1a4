// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Keeps the EndpointSlices, and the older Endpoints object, of every Service that has a selector.
package final class EndpointsController: ControlLoop {
    package let name = "endpointslice-controller"
    static let managedBy = "endpointslice-controller.k8s.io"

    private let context: ControllerContext
    private let queue = WorkQueue<ObjectKey>()
    private let services: Informer
    private let pods: Informer
    private let slices: ManagedSlices
    private let endpoints: Informer

    package init(context: ControllerContext) {
        self.context = context
        services = context.informers.informer(.services)
        pods = context.informers.informer(.pods)
        slices = ManagedSlices(Self.managedBy, context: context)
        endpoints = context.informers.informer(.endpoints)
        queue.addChanges(of: services)
        slices.informer.addHandler { [queue] event in
            if let service = event.object.labels[ManagedSlices.serviceLabel] {
                queue.add(ObjectKey(namespace: event.object.namespace, name: service))
            }
        }
        pods.addHandler { [queue, services] event in
            Self.queueServices(of: event, in: services, queue)
        }
    }

    /// Adds the Services that select a pod before or after its change.
    private static func queueServices(of event: InformerEvent, in services: Informer, _ queue: WorkQueue<ObjectKey>) {
        var states = [event.object]
        if case .updated(let old, let new) = event {
            if old.labels == new.labels, relevantParts(old) == relevantParts(new) { return }
            states.append(old)
        }
        for service in services.list(namespace: event.object.namespace) {
            guard let selector = selector(of: service) else { continue }
            if states.contains(where: { selector.matches($0.labels) }) { queue.add(service.key) }
        }
    }

    /// What of a pod shows in an endpoint.
    private static func relevantParts(_ pod: KubeObject) -> [JSON?] {
        let view = PodView(pod)
        return [
            .string(view.podIP), .string(view.nodeName), .bool(view.isReady), .bool(pod.isBeingDeleted),
            .bool(view.isTerminal), pod.spec["hostname"], pod.spec["subdomain"],
        ]
    }

    private static func selector(of service: KubeObject) -> LabelSelector? {
        guard service.spec["type"]?.string != "ExternalName", let labels = service.spec["selector"]?.stringMap,
            !labels.isEmpty
        else { return nil }
        return LabelSelector(matchLabels: labels)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 2, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await services.waitForSync()
        await pods.waitForSync()
        await slices.informer.waitForSync()
        await endpoints.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let service = services.get(key), !service.isBeingDeleted, let selector = Self.selector(of: service) else {
            if services.get(key) == nil { try await removeAll(of: key) }
            slices.forget(key)
            return nil
        }
        guard slices.areSeen(of: key) else { return .seconds(30) }
        let chosen = pods.list(namespace: key.namespace).filter { selector.matches($0.labels) }
        let wanted = ServiceEndpoints.endpoints(of: service, pods: chosen)
        try await reconcileSlices(of: service, wanted)
        try await reconcileEndpoints(of: service, wanted)
        return nil
    }

    // MARK: EndpointSlices

    private func reconcileSlices(of service: KubeObject, _ endpoints: [ServiceEndpoints.Endpoint]) async throws {
        var existing = slices.usable(of: service.key)
        var contents = ServiceEndpoints.slices(of: endpoints)
        // A Service without pods keeps one empty slice, as upstream.
        if contents.isEmpty { contents = [([], [])] }
        for content in contents {
            let ports = ServiceEndpoints.portsJSON(content.ports)
            let index =
                existing.firstIndex { $0.json["ports"]?.elements ?? [] == ports.elements }
                ?? (existing.isEmpty ? nil : 0)
            let current = index.map { existing.remove(at: $0) }
            try await write(slice(of: service, over: current, ports, content.endpoints), over: current, service.key)
        }
        for slice in existing { try await slices.delete(slice, service.key) }
    }

    private func slice(
        of service: KubeObject, over current: KubeObject?, _ ports: JSON, _ endpoints: [ServiceEndpoints.Endpoint]
    ) -> KubeObject {
        var slice = slices.slice(of: service.key, owner: service, over: current)
        if service.spec["clusterIP"]?.string == "None" {
            slice.json["metadata", "labels", "service.kubernetes.io/headless"] = ""
        }
        slice.json["addressType"] = "IPv4"
        slice.json["ports"] = ports
        slice.json["endpoints"] = ServiceEndpoints.sliceJSON(endpoints)
        return slice
    }

    private func write(_ slice: KubeObject, over current: KubeObject?, _ key: ObjectKey) async throws {
        if let current {
            let isSame =
                current.labels == slice.labels
                && current.json["ports"]?.elements ?? [] == slice.json["ports"]?.elements ?? []
                && current.json["endpoints"]?.elements ?? [] == slice.json["endpoints"]?.elements ?? []
            if isSame { return }
        }
        try await slices.write(slice, isNew: current == nil, key)
    }

    // MARK: Endpoints

    private func reconcileEndpoints(of service: KubeObject, _ wanted: [ServiceEndpoints.Endpoint]) async throws {
        let subsets = ServiceEndpoints.subsetsJSON(wanted)
        var labels = service.labels
        labels["endpoints.kubernetes.io/managed-by"] = "endpoint-controller"
        if service.spec["clusterIP"]?.string == "None" { labels["service.kubernetes.io/headless"] = "" }
        let current = endpoints.get(service.key)
        if let current, current.json["subsets"]?.elements ?? [] == subsets.elements, current.labels == labels { return }
        var object =
            current ?? KubeObject(.init("", "v1", "Endpoints"), namespace: service.namespace, name: service.name)
        object.json["metadata", "labels"] = JSON(labels)
        object.json["subsets"] = subsets.elements.isEmpty ? nil : subsets
        if wanted.count > ServiceEndpoints.endpointsLimit {
            object.json["metadata", "annotations", "endpoints.kubernetes.io/over-capacity"] = "truncated"
        }
        do {
            if current == nil {
                _ = try await context.client.create(.endpoints, object: object)
            } else {
                _ = try await context.client.update(.endpoints, object: object)
            }
        } catch let error as StatusError where error.isAlreadyExists || error.isNotFound {
            // The copy is old; the event that makes it new does not name this Service, so look again.
            queue.addAfterFailure(service.key)
        }
    }

    /// Removes what a deleted Service leaves; its slices also go by their owner reference.
    private func removeAll(of key: ObjectKey) async throws {
        for slice in slices.all(of: key) { try await slices.delete(slice, key) }
        guard let left = endpoints.get(key), left.labels["endpoints.kubernetes.io/managed-by"] != nil else { return }
        do {
            try await context.client.delete(.endpoints, namespace: key.namespace, name: key.name, options: .init())
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }
}
