// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
package import KubeAPI
import KubeClient
import Logging
import PKI

extension GroupVersionResource {
    /// The requests that the controllers of this folder work on.
    static let signingRequests = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")
}

/// Approves the certificates of nodes (upstream: `csrapproving`): client certificates when the requester may create
/// the subresource `selfnodeclient` or `nodeclient`, serving certificates by what the Node objects report. A node that was taken
/// out of the cluster gets neither.
package final class CertificateApprover: ControlLoop {
    package let name = "csrapproving"
    private let context: ControllerContext
    private let isAllowed: @Sendable (AccessAttributes) async throws -> Bool
    private let reserved: @Sendable () -> ReservedHosts
    private let queue = WorkQueue<ObjectKey>()
    private let requests: Informer
    private let nodes: Informer

    /// How long a request waits that may become approvable (a Node that has yet to report its addresses).
    private static let wait = Duration.seconds(10)

    /// - Parameters:
    ///   - reserved: What names and addresses the API servers have now.
    ///   - isAllowed: The cluster's authorizer, as a SubjectAccessReview asks it.
    package init(
        context: ControllerContext, reserved: @escaping @Sendable () -> ReservedHosts,
        isAllowed: @escaping @Sendable (AccessAttributes) async throws -> Bool
    ) {
        self.context = context
        self.reserved = reserved
        self.isAllowed = isAllowed
        requests = context.informers.informer(.signingRequests)
        nodes = context.informers.informer(.nodes)
        queue.addChanges(of: requests)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
        }
        await requests.waitForSync()
        await nodes.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws -> Duration? {
        guard let object = requests.get(key), !object.isBeingDeleted, !object.isDecidedRequest,
            (object.status["certificate"]?.string ?? "").isEmpty,
            let request = SigningRequest(object), request.refusal == nil
        else { return nil }
        guard let message = try await approval(request) else { return Self.wait }
        var approved = object
        let now = context.now().text
        approved.setCondition(
            Condition(
                type: "Approved", status: "True", reason: "AutoApproved", message: message, lastTransitionTime: now,
                lastUpdateTime: now))
        do {
            _ = try await context.client.update(
                .signingRequests, subresource: "approval", object: approved, options: .init())
        } catch let error as StatusError where error.isNotFound {
            // Nobody waits for it any more.
        }
        return nil
    }

    /// Why the request is approved, nil while it is not.
    private func approval(_ request: SigningRequest) async throws -> String? {
        switch request.signer {
        case .client: return nil
        case .kubeletServing:
            guard let reason = request.servingRefusal(nodes: nodes.list(), reserved: reserved()) else {
                return "Auto approving kubelet serving certificate for what the node reports."
            }
            tellWaiting(request, reason)
            return nil
        case .kubeletClient:
            let isSelf = request.user.name == request.request.subject.commonName
            if isSelf, nodes.get(name: request.nodeName) == nil {
                // It was removed, and keeps its certificate until that ends, and no longer.
                tellWaiting(request, "there is no such node")
                return nil
            }
            if isSelf, try await mayCreate("selfnodeclient", request.user) {
                return "Auto approving self kubelet client certificate after SubjectAccessReview."
            }
            guard try await mayCreate("nodeclient", request.user) else { return nil }
            return "Auto approving kubelet client certificate after SubjectAccessReview."
        }
    }

    private func tellWaiting(_ request: SigningRequest, _ reason: String) {
        context.logger.debug(
            "A certificate waits for approval",
            metadata: [
                "component": "\(name)", "signer": "\(request.signer.rawValue)", "user": "\(request.user.name)",
                "reason": "\(reason)",
            ])
    }

    private func mayCreate(_ subresource: String, _ user: UserInfo) async throws -> Bool {
        try await isAllowed(
            AccessAttributes(
                user: user, verb: "create", group: "certificates.k8s.io", resource: "certificatesigningrequests",
                subresource: subresource))
    }
}
