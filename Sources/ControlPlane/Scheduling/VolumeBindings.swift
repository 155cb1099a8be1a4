// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI

/// What the scheduler must know of a pod's volumes: that its claims are bound, and where their volumes can be used.
struct VolumeBindings: Sendable {
    let claims: Informer
    let volumes: Informer

    func refusal(of node: KubeObject, for pod: PodView) -> Refusal? {
        for volume in pod.object.spec["volumes"]?.elements ?? [] {
            guard let name = claimName(of: volume, in: pod) else { continue }
            guard let claim = claims.get(namespace: pod.object.namespace, name: name) else {
                return Refusal(["persistentvolumeclaim \"\(name)\" not found"])
            }
            if claim.isBeingDeleted { return Refusal(["persistentvolumeclaim \"\(name)\" is being deleted"]) }
            if claim.status["phase"]?.string == "Lost" {
                return Refusal(["persistentvolumeclaim \"\(name)\" bound to non-existent persistentvolume"])
            }
            guard claim.annotations["pv.kubernetes.io/bind-completed"] != nil,
                let bound = volumes.get(name: claim.spec["volumeName"]?.string ?? "")
            else { return Refusal(["pod has unbound immediate PersistentVolumeClaims"]) }
            let required = bound.spec["nodeAffinity"]?["required"]
            if let required, !required.isNull, !NodeSelector(required).matches(node) {
                return Refusal(["node(s) didn't match PersistentVolume's node affinity"])
            }
        }
        return nil
    }

    private func claimName(of volume: JSON, in pod: PodView) -> String? {
        if let name = volume["persistentVolumeClaim"]?["claimName"]?.string { return name }
        guard volume["ephemeral"] != nil, let name = volume["name"]?.string else { return nil }
        return "\(pod.object.name)-\(name)"
    }
}
