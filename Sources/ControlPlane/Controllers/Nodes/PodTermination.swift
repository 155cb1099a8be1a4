// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient

/// How controllers end pods that their nodes can no longer have.
struct PodTermination: Sendable {
    let client: any ResourceClient
    let now: @Sendable () -> KubeTime

    /// Says in the pod's status why it ends, and deletes it; no error where it has gone meanwhile.
    ///
    /// - Parameters:
    ///   - reason: Of the condition DisruptionTarget.
    ///   - isForced: Deletes at once and reports the pod as failed, because no kubelet is left to do so.
    func end(_ pod: KubeObject, reason: String, message: String, isForced: Bool) async throws {
        let time = JSON.string(now().text)
        var status: JSON = [
            "conditions": [
                [
                    "type": "DisruptionTarget", "status": "True", "reason": .string(reason),
                    "message": .string(message), "lastTransitionTime": time,
                ]
            ]
        ]
        if isForced, !PodView(pod).isTerminal { status["phase"] = "Failed" }
        do {
            _ = try await client.patch(
                .pods, namespace: pod.namespace, name: pod.name, subresource: "status", type: .strategic,
                patch: ["metadata": ["uid": .string(pod.uid)], "status": status], options: .init())
            var options = DeleteOptions(gracePeriodSeconds: isForced ? 0 : nil)
            options.preconditionUID = pod.uid
            try await client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
        } catch let error as StatusError where error.isNotFound {
            return
        } catch let error as StatusError where error.isConflict {
            // Either a pod of this name is another one now, or it changed: then its event brings us back.
            return
        }
    }
}
