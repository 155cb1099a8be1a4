// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging

/// Gives every namespace its `default` ServiceAccount and the `kube-root-ca.crt` ConfigMap that pods trust.
package final class ServiceAccountController: ControlLoop {
    package let name = "serviceaccount-controller"
    /// The ConfigMap's name, and the key in it.
    static let rootCertificates = (name: "kube-root-ca.crt", key: "ca.crt")

    private let context: ControllerContext
    private let certificateAuthority: @Sendable () -> String
    private let queue = WorkQueue<ObjectKey>()
    private let namespaces: Informer
    private let accounts: Informer
    private let bundles: Informer

    /// - Parameter certificateAuthority: The cluster's CA certificates in PEM.
    package init(context: ControllerContext, certificateAuthority: @escaping @Sendable () -> String) {
        self.context = context
        self.certificateAuthority = certificateAuthority
        namespaces = context.informers.informer(.namespaces)
        accounts = context.informers.informer(.serviceAccounts)
        // Only the objects of this name: other ConfigMaps are nobody's business here.
        bundles = Informer(
            .configMaps, client: context.client,
            options: .init(fieldSelector: "metadata.name=\(Self.rootCertificates.name)"), logger: context.logger)
        queue.addChanges(of: namespaces)
        for informer in [accounts, bundles] {
            informer.addHandler { [queue] event in queue.add(ObjectKey(name: event.object.namespace)) }
        }
    }

    /// Publishes the certificates anew in all namespaces: there are other ones.
    package func authoritiesChanged() {
        for namespace in namespaces.list() { queue.add(namespace.key) }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
            return nil
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.bundles.run() }
            group.addTask {
                await self.namespaces.waitForSync()
                await self.accounts.waitForSync()
                await self.bundles.waitForSync()
                try await controller.run()
            }
        }
    }

    func reconcile(_ key: ObjectKey) async throws {
        guard let namespace = namespaces.get(key), !namespace.isBeingDeleted else { return }
        do {
            if accounts.get(namespace: key.name, name: "default") == nil {
                let account = KubeObject(.init("", "v1", "ServiceAccount"), namespace: key.name, name: "default")
                _ = try await context.client.create(.serviceAccounts, object: account)
            }
        } catch let error as StatusError where error.isAlreadyExists || error.isNotFound {
            // Somebody was quicker, or the namespace has gone.
        }
        try await publishCertificates(in: key.name)
    }

    private func publishCertificates(in namespace: String) async throws {
        var bundle = KubeObject(
            .init("", "v1", "ConfigMap"), namespace: namespace, name: Self.rootCertificates.name)
        let data: JSON = .object([Self.rootCertificates.key: .string(certificateAuthority())])
        bundle.json["metadata", "annotations"] = [
            "kubernetes.io/description": "Certificates by which pods recognise the API server of this cluster."
        ]
        bundle.json["data"] = data
        do {
            if let existing = bundles.get(namespace: namespace, name: Self.rootCertificates.name) {
                if existing.json["data"] == data { return }
                var updated = existing
                updated.json["data"] = data
                _ = try await context.client.update(.configMaps, object: updated)
            } else {
                _ = try await context.client.create(.configMaps, object: bundle)
            }
        } catch let error as StatusError where error.isAlreadyExists || error.isNotFound {
            return
        }
    }
}
