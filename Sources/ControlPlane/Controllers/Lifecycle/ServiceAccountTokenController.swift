// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
package import KubeAPI
import KubeClient
import Logging
import PKI

/// Fills the Secrets of type `kubernetes.io/service-account-token`, and removes those whose account is gone.
package final class ServiceAccountTokenController: ControlLoop {
    package let name = "serviceaccount-token-controller"
    static let secretType = "kubernetes.io/service-account-token"
    /// The annotations that say whose token a Secret holds.
    static let accountName = "kubernetes.io/service-account.name"
    static let accountUID = "kubernetes.io/service-account.uid"

    private let context: ControllerContext
    private let certificateAuthority: @Sendable () -> String
    private let issue: @Sendable (_ account: KubeObject, _ secret: KubeObject) throws -> String
    private let queue = WorkQueue<ObjectKey>()
    private let accounts: Informer
    private let secrets: Informer
    private static let byAccount = "account"

    /// - Parameters:
    ///   - certificateAuthority: The cluster's CA certificates in PEM.
    ///   - issue: Signs the token of an account that a Secret is to hold.
    package init(
        context: ControllerContext, certificateAuthority: @escaping @Sendable () -> String,
        issue: @escaping @Sendable (_ account: KubeObject, _ secret: KubeObject) throws -> String
    ) {
        self.context = context
        self.certificateAuthority = certificateAuthority
        self.issue = issue
        accounts = context.informers.informer(.serviceAccounts)
        // Secrets of other types are nobody's business here, and are not copied.
        secrets = Informer(
            .secrets, client: context.client, options: .init(fieldSelector: "type=\(Self.secretType)"),
            logger: context.logger)
        secrets.addIndex(Self.byAccount) { ["\($0.namespace)/\($0.annotations[Self.accountName] ?? "")"] }
        queue.addChanges(of: secrets)
        accounts.addHandler { [queue, secrets] event in
            if case .updated = event { return }
            for secret in secrets.list(index: Self.byAccount, value: event.object.key.description) {
                queue.add(secret.key)
            }
        }
    }

    /// Writes the certificates into all Secrets anew: there are other ones.
    package func authoritiesChanged() {
        for secret in secrets.list() { queue.add(secret.key) }
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
            return nil
        }
        try await withThrowingDiscardingTaskGroup { group in
            group.addTask { try await self.secrets.run() }
            group.addTask {
                await self.accounts.waitForSync()
                await self.secrets.waitForSync()
                try await controller.run()
            }
        }
    }

    func reconcile(_ key: ObjectKey) async throws {
        guard let secret = secrets.get(key) else { return try await removeReferences(to: key) }
        guard !secret.isBeingDeleted else { return }
        do {
            if let account = try await account(of: secret) {
                try await fill(secret, account)
            } else {
                var options = DeleteOptions()
                options.preconditionUID = secret.uid
                try await context.client.delete(
                    .secrets, namespace: secret.namespace, name: secret.name, options: options)
            }
        } catch let error as StatusError where error.isNotFound {
            // It has gone meanwhile.
        }
    }

    /// The account that a Secret names, nil if there is none or it is another one of that name.
    private func account(of secret: KubeObject) async throws -> KubeObject? {
        let name = secret.annotations[Self.accountName] ?? ""
        let uid = secret.annotations[Self.accountUID] ?? ""
        func isMeant(_ account: KubeObject) -> Bool { uid.isEmpty || account.uid == uid }
        if let known = accounts.get(namespace: secret.namespace, name: name), isMeant(known) { return known }
        // The copy may be older than the Secret: nothing is deleted because of it.
        do {
            let account = try await context.client.get(.serviceAccounts, namespace: secret.namespace, name: name)
            return isMeant(account) ? account : nil
        } catch let error as StatusError where error.isNotFound {
            return nil
        }
    }

    private func fill(_ secret: KubeObject, _ account: KubeObject) async throws {
        var filled = secret
        let authority = Base64.encode(Array(certificateAuthority().utf8))
        func isEmpty(_ key: String) -> Bool { (secret.json["data"]?[key]?.string ?? "").isEmpty }
        if secret.json["data"]?["ca.crt"]?.string != authority { filled.json["data", "ca.crt"] = .string(authority) }
        if isEmpty("namespace") {
            filled.json["data", "namespace"] = .string(Base64.encode(Array(secret.namespace.utf8)))
        }
        if isEmpty("token") {
            filled.json["data", "token"] = .string(Base64.encode(Array(try issue(account, secret).utf8)))
        }
        // An immutable Secret stays as its owner made it: each attempt would be refused.
        guard filled != secret, secret.json["immutable"]?.bool != true else { return }
        filled.json["metadata", "annotations", Self.accountName] = .string(account.name)
        filled.json["metadata", "annotations", Self.accountUID] = .string(account.uid)
        _ = try await context.client.update(.secrets, object: filled)
    }

    /// Takes a Secret that is gone off the lists of the accounts that name it.
    private func removeReferences(to key: ObjectKey) async throws {
        for account in accounts.list(namespace: key.namespace) {
            let references = account.json["secrets"]?.elements ?? []
            let kept = references.filter { $0["name"]?.string != key.name }
            guard kept.count < references.count else { continue }
            var changed = account
            changed.json["secrets"] = kept.isEmpty ? nil : .array(kept)
            do {
                _ = try await context.client.update(.serviceAccounts, object: changed)
            } catch let error as StatusError where error.isNotFound {
                continue
            }
        }
    }
}
