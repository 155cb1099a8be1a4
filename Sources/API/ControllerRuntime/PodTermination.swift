// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
package import KubeClient

/// How the control plane ends pods that cannot stay where they are.
package struct PodTermination: Sendable {
    private let client: any ResourceClient
    private let now: @Sendable () -> KubeTime

    package init(client: any ResourceClient, now: @escaping @Sendable () -> KubeTime) {
        self.client = client
        self.now = now
    }

    /// Says in the pod's status why it ends, and deletes it; no error where it has gone meanwhile.
    ///
    /// - Parameters:
    ///   - reason: Of the condition DisruptionTarget.
    ///   - isForced: Deletes at once and reports the pod as failed, because no kubelet is left to do so.
    /// - Returns: Whether the pod was there to be ended.
    @discardableResult
    package func end(_ pod: KubeObject, reason: String, message: String, isForced: Bool) async throws -> Bool {
        var condition = Condition(
            type: "DisruptionTarget", status: "True", reason: reason, message: message, lastTransitionTime: now().text
        ).json
        if pod.generation > 0 { condition["observedGeneration"] = JSON(pod.generation) }
        var status: JSON = ["conditions": [condition]]
        if isForced, !PodView(pod).isTerminal { status["phase"] = "Failed" }
        do {
            _ = try await client.patch(
                .pods, namespace: pod.namespace, name: pod.name, subresource: "status", type: .strategic,
                patch: ["metadata": ["uid": .string(pod.uid)], "status": status], options: .init())
            var options = DeleteOptions(gracePeriodSeconds: isForced ? 0 : nil)
            options.preconditionUID = pod.uid
            try await client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
            return true
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            // Gone, or another pod has its name, or it changed: then its event brings the caller back.
            return false
        }
    }
}
