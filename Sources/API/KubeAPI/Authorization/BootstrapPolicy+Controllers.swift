// SPDX-License-Identifier: Apache-2.0

/// The cluster roles of the controllers; each is named `system:controller:` and bound to the service account of the
/// controller's name in kube-system.
extension BootstrapPolicy {
    static let controllerRoles: [Role] = workloadControllerRoles + objectControllerRoles + volumeControllerRoles

    private static let workloadControllerRoles: [Role] = [
        Role(
            "cronjob-controller",
            rules: [
                rule("get list update watch", "batch", "cronjobs"),
                rule("create delete get list patch update watch", "batch", "jobs"),
                rule("update", "batch", "cronjobs/status"), rule("update", "batch", "cronjobs/finalizers"),
                rule("delete list watch", "core", "pods"), events,
            ]),
        Role(
            "daemon-set-controller",
            rules: [
                rule(read, "apps extensions", "daemonsets"), rule("update", "apps extensions", "daemonsets/status"),
                rule("update", "apps extensions", "daemonsets/finalizers"), rule("list watch", "core", "nodes"),
                rule("create delete list patch watch", "core", "pods"), rule("create", "core", "pods/binding"),
                rule("create delete get list patch update watch", "apps", "controllerrevisions"), events,
            ]),
        Role(
            "deployment-controller",
            rules: [
                rule("get list update watch", "apps extensions", "deployments"),
                rule("update", "apps extensions", "deployments/status"),
                rule("update", "apps extensions", "deployments/finalizers"),
                rule("create delete get list patch update watch", "apps extensions", "replicasets"),
                rule("get list update watch", "core", "pods"), events,
            ]),
        Role(
            "disruption-controller",
            rules: [
                rule(read, "apps extensions", "deployments"), rule(read, "apps extensions", "replicasets"),
                rule(read, "core", "replicationcontrollers"), rule(read, "policy", "poddisruptionbudgets"),
                rule(read, "apps", "statefulsets"), rule("update", "policy", "poddisruptionbudgets/status"),
                rule("patch update", "core", "pods/status"), rule("get", "*", "*/scale"), events,
            ]),
        Role(
            "horizontal-pod-autoscaler",
            rules: [
                rule(read, "autoscaling", "horizontalpodautoscalers"),
                rule("update", "autoscaling", "horizontalpodautoscalers/status"), rule("get update", "*", "*/scale"),
                rule("list watch", "core", "pods"), rule("list watch", "metrics.k8s.io", "pods"),
                rule(read, "custom.metrics.k8s.io", "*"), rule(read, "external.metrics.k8s.io", "*"), events,
            ]),
        Role(
            "job-controller",
            rules: [
                rule("get list patch update watch", "batch", "jobs"), rule("update", "batch", "jobs/status"),
                rule("update", "batch", "jobs/finalizers"), rule("create delete list patch watch", "core", "pods"),
                events,
            ]),
        Role("replicaset-controller", rules: replicaRules("replicasets", "apps extensions")),
        Role("replication-controller", rules: replicaRules("replicationcontrollers", "core")),
        Role(
            "statefulset-controller",
            rules: [
                rule("list watch", "core", "pods"), rule(read, "apps", "statefulsets"),
                rule("update", "apps", "statefulsets/status"), rule("update", "apps", "statefulsets/finalizers"),
                rule("create delete get patch update", "core", "pods"),
                rule("create delete get list patch update watch", "apps", "controllerrevisions"),
                rule("create get list watch", "core", "persistentvolumeclaims"),
                rule("delete update", "core", "persistentvolumeclaims"), rule("update", "core", "pods/finalizers"),
                events,
            ]),
        Role("ttl-after-finished-controller", rules: [rule("delete get list watch", "batch", "jobs"), events]),
    ]

    private static func replicaRules(_ resource: String, _ groups: String) -> [PolicyRule] {
        [
            rule("get list update watch", groups, resource), rule("update", groups, "\(resource)/status"),
            rule("update", groups, "\(resource)/finalizers"), rule("create delete list patch watch", "core", "pods"),
            events,
        ]
    }

    private static let objectControllerRoles: [Role] = [
        Role(
            "certificate-controller",
            rules: [
                rule("delete get list watch", "certificates.k8s.io", "certificatesigningrequests"),
                rule(
                    "update", "certificates.k8s.io",
                    "certificatesigningrequests/approval certificatesigningrequests/status"),
                rule(
                    "approve", "certificates.k8s.io", "signers", names: "kubernetes.io/kube-apiserver-client-kubelet"),
                rule(
                    "sign", "certificates.k8s.io", "signers",
                    names: """
                        kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet \
                        kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown
                        """),
                rule("create", "authorization.k8s.io", "subjectaccessreviews"), events,
            ]),
        Role(
            "clusterrole-aggregation-controller",
            rules: [rule("escalate get list patch update watch", "rbac.authorization.k8s.io", "clusterroles")]),
        Role(
            "device-taint-eviction-controller",
            rules: [
                rule("delete get list watch", "core", "pods"), rule("patch update", "core", "pods/status"),
                rule(read, "resource.k8s.io", "resourceclaims"), rule(read, "resource.k8s.io", "resourceslices"),
                rule(read, "resource.k8s.io", "deviceclasses"), events,
            ]),
        Role(
            "endpoint-controller",
            rules: [
                rule(read, "core", "pods services"),
                rule("create delete get list update watch", "core", "endpoints"),
                rule("create", "core", "endpoints/restricted"), events,
            ]),
        Role(
            "endpointslice-controller",
            rules: [
                rule(read, "core", "nodes pods services"), rule("update", "core", "services/finalizers"),
                rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"), events,
            ]),
        Role(
            "endpointslicemirroring-controller",
            rules: [
                rule(read, "core", "endpoints services"), rule("update", "core", "services/finalizers"),
                rule("update", "core", "endpoints/finalizers"),
                rule("create delete get list update watch", "discovery.k8s.io", "endpointslices"), events,
            ]),
        Role("generic-garbage-collector", rules: [rule("delete get list patch update watch", "*", "*"), events]),
        Role(
            "legacy-service-account-token-cleaner",
            rules: [
                rule("get", "core", "configmaps", names: "kube-apiserver-legacy-service-account-token-tracking"),
                rule("delete patch", "core", "secrets"),
            ]),
        Role(
            "namespace-controller",
            rules: [
                rule("delete get list watch", "core", "namespaces"),
                rule("update", "core", "namespaces/finalize namespaces/status"),
                rule("delete deletecollection get list watch", "*", "*"),
            ]),
        Role(
            "node-controller",
            rules: [
                rule("delete get list patch update watch", "core", "nodes"),
                rule("patch update", "core", "nodes/status"), rule("patch update", "core", "pods/status"),
                rule("delete get list watch", "core", "pods"), events,
            ]),
        Role(
            "pod-garbage-collector",
            rules: [
                rule("delete list watch", "core", "pods"), rule(read, "core", "nodes"),
                rule("patch", "core", "pods/status"),
            ]),
        Role(
            "resource-claim-controller",
            rules: [
                rule(read, "core", "pods"), rule("update", "core", "pods/finalizers"),
                rule("create delete get list watch", "resource.k8s.io", "resourceclaims"),
                rule("patch update", "resource.k8s.io", "resourceclaims resourceclaims/status"),
                rule("patch update", "core", "pods/status"), events,
                rule("patch update", "resource.k8s.io", "resourceclaims/binding"),
            ]),
        Role(
            "resourcequota-controller",
            rules: [rule("list watch", "*", "*"), rule("update", "core", "resourcequotas/status"), events]),
        Role("root-ca-cert-publisher", rules: [rule("create update", "core", "configmaps"), events]),
        Role(
            "route-controller",
            rules: [rule("list watch", "core", "nodes"), rule("patch", "core", "nodes/status"), events]),
        Role("service-account-controller", rules: [rule("create", "core", "serviceaccounts"), events]),
        Role(
            "service-cidrs-controller",
            rules: [
                rule("get list patch update watch", "networking.k8s.io", "servicecidrs"),
                rule("patch update", "networking.k8s.io", "servicecidrs/finalizers"),
                rule("patch update", "networking.k8s.io", "servicecidrs/status"),
                rule(read, "networking.k8s.io", "ipaddresses"), events,
            ]),
        Role(
            "service-controller",
            rules: [
                rule(read, "core", "services"), rule("patch update", "core", "services/status"),
                rule("list watch", "core", "nodes"), events,
            ]),
        Role("ttl-controller", rules: [rule("list patch update watch", "core", "nodes"), events]),
        Role(
            "validatingadmissionpolicy-status-controller",
            rules: [
                rule(read, "admissionregistration.k8s.io", "validatingadmissionpolicies"),
                rule("get patch update", "admissionregistration.k8s.io", "validatingadmissionpolicies/status"),
                events,
            ]),
    ]

    private static let volumeControllerRoles: [Role] = [
        Role(
            "attachdetach-controller",
            rules: [
                rule("list watch", "core", "persistentvolumeclaims persistentvolumes"), rule(read, "core", "nodes"),
                rule("patch update", "core", "nodes/status"), rule("list watch", "core", "pods"), events,
                rule("create delete get list watch", "storage.k8s.io", "volumeattachments"),
                rule(read, "storage.k8s.io", "csidrivers"), rule(read, "storage.k8s.io", "csinodes"),
            ]),
        Role(
            "ephemeral-volume-controller",
            rules: [
                rule(read, "core", "pods"), rule("update", "core", "pods/finalizers"),
                rule("create get list watch", "core", "persistentvolumeclaims"), events,
            ]),
        Role(
            "expand-controller",
            rules: [
                rule("get list patch update watch", "core", "persistentvolumes"),
                rule("patch update", "core", "persistentvolumeclaims/status"),
                rule(read, "core", "persistentvolumeclaims"), events,
            ]),
        Role(
            "persistent-volume-binder",
            rules: [
                rule("create delete get list update watch", "core", "persistentvolumes"),
                rule("update", "core", "persistentvolumes/status"),
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule("update", "core", "persistentvolumeclaims/status"),
                rule("create delete get list watch", "core", "pods"),
                rule(read, "storage.k8s.io", "storageclasses"), rule("list watch", "core", "nodes"), events,
                rule("watch", "core", "events"),
            ]),
        Role(
            "pv-protection-controller", rules: [rule("get list update watch", "core", "persistentvolumes"), events]),
        Role(
            "pvc-protection-controller",
            rules: [
                rule("get list update watch", "core", "persistentvolumeclaims"),
                rule("update", "core", "persistentvolumeclaims/status"), rule(read, "core", "pods"), events,
            ]),
        Role(
            "selinux-warning-controller",
            rules: [
                events, rule(read, "core", "persistentvolumes"), rule(read, "core", "persistentvolumeclaims"),
                rule(read, "core", "pods"), rule(read, "storage.k8s.io", "csidrivers"),
            ]),
        Role(
            "volumeattributesclass-protection-controller",
            rules: [
                rule(read, "core", "persistentvolumeclaims"), rule(read, "core", "persistentvolumes"),
                rule("get list update watch", "storage.k8s.io", "volumeattributesclasses"), events,
            ]),
    ]
}
