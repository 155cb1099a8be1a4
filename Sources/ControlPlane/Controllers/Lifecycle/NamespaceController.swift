// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
package import KubeAPI
import KubeClient
import Logging

/// Empties namespaces that are being deleted and then lets them go.
package final class NamespaceController: ControlLoop {
    package let name = "namespace-controller"
    /// The entry of `spec.finalizers` that this controller answers for.
    static let finalizer = "kubernetes"

    private let context: ControllerContext
    private let resources: [GroupVersionResource]
    private let queue = WorkQueue<ObjectKey>(longestDelay: .seconds(10))
    private let namespaces: Informer

    /// - Parameter resources: All namespaced collections that can be listed and deleted.
    package init(context: ControllerContext, resources: [GroupVersionResource]) {
        self.context = context
        // Pods first: they take the longest.
        self.resources = resources.filter { $0 == .pods } + resources.filter { $0 != .pods }
        namespaces = context.informers.informer(.namespaces)
        queue.addChanges(of: namespaces)
        // The last pod that goes is what mostly holds a namespace up.
        context.informers.informer(.pods).addHandler { [queue, namespaces] event in
            guard case .deleted(let pod) = event, let namespace = namespaces.get(name: pod.namespace),
                namespace.isBeingDeleted
            else { return }
            queue.add(namespace.key)
        }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 4, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await namespaces.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let namespace = namespaces.get(key), namespace.isBeingDeleted,
            Self.finalizers(of: namespace).contains(Self.finalizer)
        else { return nil }
        var remaining: [(resource: GroupVersionResource, objects: [KubeObject])] = []
        var failures: [String] = []
        for resource in resources {
            do {
                let left = try await empty(resource, in: namespace.name)
                if !left.isEmpty { remaining.append((resource, left)) }
            } catch let error as StatusError where error.isNotFound || error.code == 405 {
                continue
            } catch let error as StatusError {
                failures.append(error.message)
            }
        }
        try await report(remaining, failures, on: namespace)
        guard remaining.isEmpty, failures.isEmpty else { return .seconds(2) }
        try await finalize(namespace)
        return nil
    }

    /// Deletes a collection and gives what is still there.
    private func empty(_ resource: GroupVersionResource, in namespace: String) async throws -> [KubeObject] {
        let found = try await context.client.list(resource, namespace: namespace, options: .init()).items
        if found.isEmpty { return [] }
        if found.contains(where: { !$0.isBeingDeleted }) {
            try await context.client.deleteCollection(
                resource, namespace: namespace, selecting: .init(), options: .init(propagationPolicy: .background))
        }
        return try await context.client.list(resource, namespace: namespace, options: .init()).items
    }

    private func finalize(_ namespace: KubeObject) async throws {
        do {
            var fresh = try await context.client.get(.namespaces, namespace: nil, name: namespace.name)
            guard fresh.uid == namespace.uid else { return }
            fresh.json["spec", "finalizers"] = JSON(Self.finalizers(of: fresh).filter { $0 != Self.finalizer })
            _ = try await context.client.update(.namespaces, subresource: "finalize", object: fresh, options: .init())
        } catch let error as StatusError where error.isNotFound {
            return
        }
    }

    private static func finalizers(of namespace: KubeObject) -> [String] {
        namespace.spec["finalizers"]?.elements.compactMap(\.string) ?? []
    }

    // MARK: Conditions

    /// Says in the status what holds the deletion up.
    private func report(
        _ remaining: [(resource: GroupVersionResource, objects: [KubeObject])], _ failures: [String],
        on namespace: KubeObject
    ) async throws {
        if remaining.isEmpty, failures.isEmpty, namespace.status["conditions"] == nil { return }
        var updated = namespace
        func set(_ type: String, _ isTrue: Bool, _ reason: String, _ message: String) {
            updated.setCondition(
                Condition(
                    type: type, status: isTrue ? "True" : "False", reason: reason, message: message,
                    lastTransitionTime: context.now().text))
        }
        set(
            "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
            "All resources successfully discovered")
        set(
            "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
            "All legacy kube types successfully parsed")
        set(
            "NamespaceDeletionContentFailure", !failures.isEmpty,
            failures.isEmpty ? "ContentDeleted" : "ContentDeletionFailed",
            failures.isEmpty
                ? "All content successfully deleted, may be waiting on finalization"
                : "Failed to delete all resource types, \(failures.count) remaining: "
                    + failures.joined(separator: ", "))
        let counts = remaining.map { Self.count($0.objects.count, of: $0.resource) }
        set(
            "NamespaceContentRemaining", !remaining.isEmpty,
            remaining.isEmpty ? "ContentRemoved" : "SomeResourcesRemain",
            remaining.isEmpty
                ? "All content successfully removed" : "Some resources are remaining: " + counts.joined(separator: ", ")
        )
        let held = Self.finalizerCounts(remaining.flatMap(\.objects))
        set(
            "NamespaceFinalizersRemaining", !held.isEmpty,
            held.isEmpty ? "ContentHasNoFinalizers" : "SomeFinalizersRemain",
            held.isEmpty
                ? "All content-preserving finalizers finished"
                : "Some content in the namespace has finalizers remaining: "
                    + held.map { "\($0.key) in \($0.value) resource instances" }.joined(separator: ", "))
        if updated.status == namespace.status { return }
        _ = try await context.client.updateStatus(.namespaces, object: updated)
    }

    /// `configmaps. has 1 resource instances`: upstream writes the dot before the core group's empty name as well.
    static func count(_ number: Int, of resource: GroupVersionResource) -> String {
        "\(resource.resource).\(resource.group) has \(number) resource instances"
    }

    private static func finalizerCounts(_ objects: [KubeObject]) -> [(key: String, value: Int)] {
        var counts: [String: Int] = [:]
        for object in objects {
            for finalizer in object.finalizers { counts[finalizer, default: 0] += 1 }
        }
        return counts.sorted { $0.key < $1.key }
    }
}
