// SPDX-License-Identifier: Apache-2.0

import JSON

/// The defaults that depend on more than the field itself; `+default` markers are set by ``ObjectDecoder``.
///
/// Source: upstream's `pkg/apis/<group>/<version>/defaults.go` and the conversions that clients can see.
enum Defaults {
    typealias Rule = @Sendable (inout JSON) -> Void

    /// The rule of a kind; nil where nothing is defaulted.
    static func rule(for kind: GroupVersionKind) -> Rule? { rules["\(kind.group)/\(kind.kind)"] }

    private static let rules: [String: Rule] = core.merging(grouped) { first, _ in first }

    private static let core: [String: Rule] = [
        "/Pod": PodDefaults.pod,
        "/PodTemplate": { $0.change("template", PodDefaults.template) },
        "/ReplicationController": WorkloadDefaults.replicationController,
        "/Service": CoreDefaults.service,
        "/Endpoints": { endpoints in
            endpoints.changeEach("subsets") { $0.changeEach("ports") { $0.setTextDefault("protocol", "TCP") } }
        },
        "/Secret": CoreDefaults.secret,
        "/Namespace": CoreDefaults.namespace,
        "/Node": CoreDefaults.node,
        "/PersistentVolume": CoreDefaults.persistentVolume,
        "/PersistentVolumeClaim": CoreDefaults.persistentVolumeClaim,
        "/LimitRange": CoreDefaults.limitRange,
    ]

    private static let grouped: [String: Rule] = [
        "apps/Deployment": WorkloadDefaults.deployment,
        "apps/ReplicaSet": { set in
            set.change("spec") { spec in
                spec.setDefault("replicas", 1)
                spec.change("template", PodDefaults.template)
            }
        },
        "apps/StatefulSet": WorkloadDefaults.statefulSet,
        "apps/DaemonSet": WorkloadDefaults.daemonSet,
        "batch/Job": WorkloadDefaults.job,
        "batch/CronJob": WorkloadDefaults.cronJob,
        "autoscaling/HorizontalPodAutoscaler": AutoscalingDefaults.autoscaler,
        "networking.k8s.io/NetworkPolicy": GroupDefaults.networkPolicy,
        "networking.k8s.io/IngressClass": { ingressClass in
            ingressClass.change("spec") { $0.change("parameters") { $0.setTextDefault("scope", "Cluster") } }
        },
        "discovery.k8s.io/EndpointSlice": GroupDefaults.endpointSlice,
        "rbac.authorization.k8s.io/RoleBinding": GroupDefaults.roleBinding,
        "rbac.authorization.k8s.io/ClusterRoleBinding": GroupDefaults.roleBinding,
        "storage.k8s.io/StorageClass": { storageClass in
            storageClass.setTextDefault("reclaimPolicy", "Delete")
            storageClass.setTextDefault("volumeBindingMode", "Immediate")
        },
        "storage.k8s.io/CSIDriver": GroupDefaults.csiDriver,
        "scheduling.k8s.io/PriorityClass": { $0.setTextDefault("preemptionPolicy", "PreemptLowerPriority") },
        "flowcontrol.apiserver.k8s.io/FlowSchema": { flowSchema in
            flowSchema.changeOrCreate("spec") { $0.setIntegerDefault("matchingPrecedence", 1000) }
        },
        "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": GroupDefaults.priorityLevel,
        "admissionregistration.k8s.io/ValidatingWebhookConfiguration": {
            $0.changeEach("webhooks", AdmissionDefaults.webhook)
        },
        "admissionregistration.k8s.io/MutatingWebhookConfiguration": { configuration in
            configuration.changeEach("webhooks") { webhook in
                AdmissionDefaults.webhook(&webhook)
                webhook.setTextDefault("reinvocationPolicy", "Never")
            }
        },
        "admissionregistration.k8s.io/ValidatingAdmissionPolicy": AdmissionDefaults.policy,
        "admissionregistration.k8s.io/MutatingAdmissionPolicy": AdmissionDefaults.policy,
        "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": AdmissionDefaults.binding,
        "admissionregistration.k8s.io/MutatingAdmissionPolicyBinding": AdmissionDefaults.binding,
        "apiextensions.k8s.io/CustomResourceDefinition": GroupDefaults.customResourceDefinition,
        "apiregistration.k8s.io/APIService": { service in
            service.change("spec") { $0.change("service") { $0.setDefault("port", 443) } }
        },
        "authentication.k8s.io/TokenRequest": { request in
            request.change("spec") { $0.setDefault("expirationSeconds", 3600) }
        },
        "resource.k8s.io/ResourceClaim": { $0.change("spec", GroupDefaults.resourceClaimSpec) },
        "resource.k8s.io/ResourceClaimTemplate": { template in
            template.change("spec") { $0.change("spec", GroupDefaults.resourceClaimSpec) }
        },
    ]
}
