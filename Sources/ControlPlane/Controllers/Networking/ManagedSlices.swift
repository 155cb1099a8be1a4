// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient

/// The EndpointSlices of one manager, by the Service that they belong to.
struct ManagedSlices: Sendable {
    static let serviceLabel = "kubernetes.io/service-name"
    static let managedByLabel = "endpointslice.kubernetes.io/managed-by"

    let informer: Informer
    private let manager: String
    private let client: any ResourceClient
    private let written = WrittenRevisions()

    /// - Parameter manager: The value of the label that says whose a slice is.
    init(_ manager: String, context: ControllerContext) {
        self.manager = manager
        client = context.client
        informer = context.informers.informer(.endpointSlices)
        informer.addIndex(manager) { Self.service(of: $0, manager).map { [$0.description] } ?? [] }
    }

    /// The Service of a slice that is this manager's; nil for others.
    func service(of slice: KubeObject) -> ObjectKey? { Self.service(of: slice, manager) }

    private static func service(of slice: KubeObject, _ manager: String) -> ObjectKey? {
        guard slice.labels[managedByLabel] == manager, let service = slice.labels[serviceLabel] else { return nil }
        return ObjectKey(namespace: slice.namespace, name: service)
    }

    /// Whether the copy holds all that was written for a Service.
    func areSeen(of service: ObjectKey) -> Bool { written.areSeen(service, by: informer) }

    func forget(_ service: ObjectKey) { written.forget(service) }

    func all(of service: ObjectKey) -> [KubeObject] { informer.list(index: manager, value: service.description) }

    /// Those that can be written again, the oldest first.
    func usable(of service: ObjectKey) -> [KubeObject] {
        all(of: service).filter { !$0.isBeingDeleted }
            .sorted { ($0.creationTimestamp ?? "", $0.name) < ($1.creationTimestamp ?? "", $1.name) }
    }

    /// A slice with its labels; what it holds is up to its maker.
    ///
    /// - Parameters:
    ///   - owner: What the slice goes with, and has its labels from.
    ///   - current: The slice that it replaces, if there is one.
    func slice(of service: ObjectKey, owner: KubeObject, over current: KubeObject?) -> KubeObject {
        var slice =
            current
            ?? KubeObject([
                "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "metadata": [
                    "generateName": .string("\(service.name)-"), "namespace": .string(service.namespace),
                    "ownerReferences": [OwnerReference(controller: owner).json],
                ],
            ])
        var labels = owner.labels
        labels[Self.serviceLabel] = service.name
        labels[Self.managedByLabel] = manager
        slice.json["metadata", "labels"] = JSON(labels)
        return slice
    }

    /// Creates a slice, or writes it over the one that it was made from.
    func write(_ slice: KubeObject, isNew: Bool, _ service: ObjectKey) async throws {
        let result =
            isNew
            ? try await client.create(.endpointSlices, object: slice)
            : try await client.update(.endpointSlices, object: slice)
        written.note(service, result)
    }

    func delete(_ slice: KubeObject, _ service: ObjectKey) async throws {
        do {
            let deleted = try await client.delete(
                .endpointSlices, namespace: slice.namespace, name: slice.name, options: .init())
            written.note(service, deleted)
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }
}
