// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Gives pods their service account and its token (upstream: `plugin/pkg/admission/serviceaccount`).
enum ServiceAccountAdmission {
    private static let mountPath = "/var/run/secrets/kubernetes.io/serviceaccount"
    private static let volumePrefix = "kube-api-access-"

    static func admit(_ change: Change, _ pod: inout KubeObject) throws(StatusError) {
        // A mirror of a static pod has no account.
        if pod.annotations["kubernetes.io/config.mirror"] != nil { return }
        let wanted = pod.spec["serviceAccountName"]?.string ?? ""
        let name = wanted.isEmpty ? "default" : wanted
        pod.json["spec", "serviceAccountName"] = .string(name)
        pod.json["spec", "serviceAccount"] = .string(name)
        guard let account = change.registry.cachedObject(.init("", "v1", "serviceaccounts"), pod.namespace, name)
        else {
            throw change.forbidden(
                pod.name,
                "error looking up service account \(pod.namespace)/\(name): serviceaccount \"\(name)\" not found")
        }
        let mounts =
            pod.spec["automountServiceAccountToken"]?.bool
            ?? account.json["automountServiceAccountToken"]?.bool ?? true
        if mounts { mountToken(&pod) }
        if pod.spec["imagePullSecrets"]?.elements.isEmpty ?? true,
            let secrets = account.json["imagePullSecrets"], !secrets.elements.isEmpty
        {
            pod.json["spec", "imagePullSecrets"] = secrets
        }
    }

    private static func mountToken(_ pod: inout KubeObject) {
        var volumes = pod.spec["volumes"]?.elements ?? []
        var volume = volumes.compactMap { $0["name"]?.string }.first { $0.hasPrefix(volumePrefix) }
        var needsVolume = false
        for list in ["containers", "initContainers"] {
            guard var containers = pod.spec[list]?.array else { continue }
            for index in containers.indices {
                let mounts = containers[index]["volumeMounts"]?.elements ?? []
                if mounts.contains(where: { $0["mountPath"]?.string == mountPath }) { continue }
                let name = volume ?? volumePrefix + ObjectNames.suffix(5)
                if volume == nil { needsVolume = true }
                volume = name
                let mount: JSON = ["name": .string(name), "readOnly": true, "mountPath": .string(mountPath)]
                containers[index]["volumeMounts"] = .array(mounts + [mount])
            }
            pod.json["spec", list] = .array(containers)
        }
        if needsVolume, let volume {
            volumes.append(tokenVolume(volume))
            pod.json["spec", "volumes"] = .array(volumes)
        }
    }

    private static func tokenVolume(_ name: String) -> JSON {
        [
            "name": .string(name),
            "projected": [
                "sources": [
                    ["serviceAccountToken": ["expirationSeconds": 3607, "path": "token"]],
                    [
                        "configMap": [
                            "name": "kube-root-ca.crt", "items": [["key": "ca.crt", "path": "ca.crt"]],
                        ]
                    ],
                    [
                        "downwardAPI": [
                            "items": [
                                [
                                    "path": "namespace",
                                    "fieldRef": ["apiVersion": "v1", "fieldPath": "metadata.namespace"],
                                ]
                            ]
                        ]
                    ],
                ], "defaultMode": 420,
            ],
        ]
    }
}

/// Gives pods the number that their priority class stands for (upstream: `plugin/pkg/admission/priority`).
enum PriorityAdmission {
    private static let classes = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")

    static func admit(_ change: Change, _ pod: inout KubeObject) throws(StatusError) {
        let name = pod.spec["priorityClassName"]?.string ?? ""
        let chosen: KubeObject?
        if name.isEmpty {
            chosen = globalDefault(in: change.registry)
        } else {
            guard let found = change.registry.cachedObject(classes, "", name) else {
                throw change.forbidden(pod.name, "no PriorityClass with name \(name) was found")
            }
            chosen = found
        }
        let value = chosen?.json["value"]?.int ?? 0
        if let given = pod.spec["priority"]?.int, given != value {
            throw change.forbidden(
                pod.name,
                "the integer value of priority (\(given)) must not be provided in pod spec; priority admission "
                    + "controller computed \(value) from the given PriorityClass name")
        }
        pod.json["spec", "priority"] = JSON(value)
        if let chosen, name.isEmpty { pod.json["spec", "priorityClassName"] = .string(chosen.name) }
        let policy = chosen?.json["preemptionPolicy"]?.string ?? "PreemptLowerPriority"
        if let given = pod.spec["preemptionPolicy"]?.string, given != policy {
            throw change.forbidden(
                pod.name,
                "the string value of PreemptionPolicy (\(given)) must not be provided in pod spec; priority admission "
                    + "controller computed \(policy) from the given PriorityClass name")
        }
        pod.json["spec", "preemptionPolicy"] = .string(policy)
    }

    /// The class of pods that name none; the lowest, where several became it at the same time.
    static func globalDefault(in registry: Registry) -> KubeObject? {
        registry.cachedObjects(classes)
            .filter { $0.json["globalDefault"]?.bool ?? false }
            .min { ($0.json["value"]?.int ?? 0) < ($1.json["value"]?.int ?? 0) }
    }
}

/// Lets pods stay for five minutes on a node that is lost (upstream: `plugin/pkg/admission/defaulttolerationseconds`).
enum TolerationAdmission {
    private static let seconds = 300

    static func admit(_ pod: inout KubeObject) {
        var tolerations = pod.spec["tolerations"]?.elements ?? []
        for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
            let isTolerated = tolerations.contains { toleration in
                let name = toleration["key"]?.string ?? ""
                let effect = toleration["effect"]?.string ?? ""
                return (name == key || name.isEmpty) && (effect == "NoExecute" || effect.isEmpty)
            }
            if isTolerated { continue }
            tolerations.append([
                "key": .string(key), "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": JSON(seconds),
            ])
        }
        pod.json["spec", "tolerations"] = .array(tolerations)
    }
}
