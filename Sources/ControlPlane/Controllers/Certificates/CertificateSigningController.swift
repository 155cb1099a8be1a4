// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import PKI

/// Signs approved requests for the signers of this cluster (upstream: `csrsigning`); what a signer must not sign gets
/// the condition `Failed`.
package final class CertificateSigningController: ControlLoop {
    package let name = "csrsigning"
    private let context: ControllerContext
    private let signer: any CertificateSigner
    private let queue = WorkQueue<ObjectKey>()
    private let requests: Informer
    private let lifetimeSeconds: Int64

    /// - Parameter lifetimeSeconds: How long certificates are valid that ask for nothing shorter (upstream:
    ///   `--cluster-signing-duration`).
    package init(
        context: ControllerContext, signer: any CertificateSigner, lifetimeSeconds: Int64 = 365 * 86400
    ) {
        self.context = context
        self.signer = signer
        self.lifetimeSeconds = lifetimeSeconds
        requests = context.informers.informer(.signingRequests)
        queue.addChanges(of: requests)
    }

    package func run() async throws {
        let controller = Controller(name, workers: 1, queue: queue, logger: context.logger) { key in
            try await self.reconcile(key)
            return nil
        }
        await requests.waitForSync()
        try await controller.run()
    }

    func reconcile(_ key: ObjectKey) async throws {
        guard var object = requests.get(key), !object.isBeingDeleted, object.isApprovedRequest,
            object.condition("Failed") == nil, (object.status["certificate"]?.string ?? "").isEmpty,
            let request = SigningRequest(object)
        else { return }
        let now = context.now()
        if let refusal = request.refusal {
            object.setCondition(
                Condition(
                    type: "Failed", status: "True", reason: "SignerValidationFailure", message: refusal,
                    lastTransitionTime: now.text, lastUpdateTime: now.text))
        } else {
            let profile = request.profile(now: Int64(now.seconds), longest: lifetimeSeconds)
            let pem = try await signer.sign(profile, for: request.request.publicKey)
            object.json["status", "certificate"] = .string(Base64.encode(pem))
        }
        do {
            _ = try await context.client.updateStatus(.signingRequests, object: object)
        } catch let error as StatusError where error.isNotFound {
            // Nobody waits for it any more.
        }
    }
}
