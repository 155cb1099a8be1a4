// SPDX-License-Identifier: Apache-2.0

/// The rows of ``ResourceTable/builtIn``: what `kubectl api-resources -o wide` shows for Kubernetes v1.36, in the order of
/// upstream's API service priorities (`cmd/kube-apiserver/app/aggregator.go`).
enum BuiltInResources {
    private typealias Verbs = ResourceInfo.Verbs
    private typealias Subresource = ResourceInfo.Subresource

    static let rows: [ResourceInfo] =
        core + registration + workloads + events + reviews + autoscaling + batch + certificates + networking + policy
        + access + storage + extensions + scheduling + others

    private static func part(_ name: String, of group: String, _ version: String, _ kind: String) -> Subresource {
        .init(name: name, kind: .init(group, version, kind), verbs: Verbs.part)
    }

    private static func core(_ name: String, _ kind: String, _ verbs: [String]) -> Subresource {
        .init(name: name, kind: .init("", "v1", kind), verbs: verbs)
    }

    private static let scale = Subresource(
        name: "scale", kind: .init("autoscaling", "v1", "Scale"), verbs: Verbs.part)
    private static let proxyVerbs = ["create", "delete", "get", "patch", "update"]
    private static let streamVerbs = ["create", "get"]

    /// A row; `status` adds that subresource.
    private static func row(
        _ group: String, _ version: String, _ plural: String, _ kind: String, global: Bool = false,
        short: [String] = [], categories: [String] = [], verbs: [String] = Verbs.standard, status: Bool = false,
        _ subresources: [Subresource] = [], storage: GroupVersionResource? = nil, storageKind: GroupVersionKind? = nil
    ) -> ResourceInfo {
        var parts = subresources
        if status { parts.append(part("status", of: group, version, kind)) }
        return ResourceInfo(
            group: group, version: version, plural: plural, kind: kind, isNamespaced: !global, shortNames: short,
            categories: categories, verbs: verbs, subresources: parts.sorted { $0.name < $1.name }, storage: storage,
            storageKind: storageKind)
    }

    private static let core: [ResourceInfo] = [
        row("", "v1", "bindings", "Binding", verbs: Verbs.createOnly),
        row("", "v1", "componentstatuses", "ComponentStatus", global: true, short: ["cs"], verbs: ["get", "list"]),
        row("", "v1", "configmaps", "ConfigMap", short: ["cm"]),
        row("", "v1", "endpoints", "Endpoints", short: ["ep"]),
        row("", "v1", "events", "Event", short: ["ev"]),
        row("", "v1", "limitranges", "LimitRange", short: ["limits"]),
        row(
            "", "v1", "namespaces", "Namespace", global: true, short: ["ns"],
            verbs: Verbs.standard.filter { $0 != "deletecollection" }, status: true,
            [core("finalize", "Namespace", ["update"])]),
        row(
            "", "v1", "nodes", "Node", global: true, short: ["no"], status: true,
            [core("proxy", "NodeProxyOptions", proxyVerbs)]),
        row("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", short: ["pvc"], status: true),
        row("", "v1", "persistentvolumes", "PersistentVolume", global: true, short: ["pv"], status: true),
        row("", "v1", "pods", "Pod", short: ["po"], categories: ["all"], status: true, podParts),
        row("", "v1", "podtemplates", "PodTemplate"),
        row(
            "", "v1", "replicationcontrollers", "ReplicationController", short: ["rc"], categories: ["all"],
            status: true, [scale]),
        row("", "v1", "resourcequotas", "ResourceQuota", short: ["quota"], status: true),
        row("", "v1", "secrets", "Secret"),
        row(
            "", "v1", "serviceaccounts", "ServiceAccount", short: ["sa"],
            [
                .init(
                    name: "token", kind: .init("authentication.k8s.io", "v1", "TokenRequest"), verbs: Verbs.createOnly)
            ]),
        row(
            "", "v1", "services", "Service", short: ["svc"], categories: ["all"], status: true,
            [core("proxy", "ServiceProxyOptions", proxyVerbs)]),
    ]

    private static let podParts: [Subresource] = [
        core("attach", "PodAttachOptions", streamVerbs), core("binding", "Binding", Verbs.createOnly),
        core("ephemeralcontainers", "Pod", Verbs.part),
        .init(name: "eviction", kind: .init("policy", "v1", "Eviction"), verbs: Verbs.createOnly),
        core("exec", "PodExecOptions", streamVerbs), core("log", "Pod", ["get"]),
        core("portforward", "PodPortForwardOptions", streamVerbs), core("proxy", "PodProxyOptions", proxyVerbs),
        core("resize", "Pod", Verbs.part),
    ]

    private static let registration: [ResourceInfo] = [
        row(
            "apiregistration.k8s.io", "v1", "apiservices", "APIService", global: true, categories: ["api-extensions"],
            status: true)
    ]

    private static let workloads: [ResourceInfo] = [
        row("apps", "v1", "controllerrevisions", "ControllerRevision"),
        row("apps", "v1", "daemonsets", "DaemonSet", short: ["ds"], categories: ["all"], status: true),
        row("apps", "v1", "deployments", "Deployment", short: ["deploy"], categories: ["all"], status: true, [scale]),
        row("apps", "v1", "replicasets", "ReplicaSet", short: ["rs"], categories: ["all"], status: true, [scale]),
        row("apps", "v1", "statefulsets", "StatefulSet", short: ["sts"], categories: ["all"], status: true, [scale]),
    ]

    /// Both kinds of Event are one: kept as core/v1, as upstream does.
    private static let events: [ResourceInfo] = [
        row(
            "events.k8s.io", "v1", "events", "Event", short: ["ev"], storage: .init("", "v1", "events"),
            storageKind: .init("", "v1", "Event"))
    ]

    private static let reviews: [ResourceInfo] = [
        row(
            "authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", global: true,
            verbs: Verbs.createOnly),
        row("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", global: true, verbs: Verbs.createOnly),
        row(
            "authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview",
            verbs: Verbs.createOnly),
        row(
            "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", global: true,
            verbs: Verbs.createOnly),
        row(
            "authorization.k8s.io", "v1", "selfsubjectrulesreviews", "SelfSubjectRulesReview", global: true,
            verbs: Verbs.createOnly),
        row(
            "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", global: true,
            verbs: Verbs.createOnly),
    ]

    private static let autoscaling: [ResourceInfo] = ["v2", "v1"].map { version in
        row(
            "autoscaling", version, "horizontalpodautoscalers", "HorizontalPodAutoscaler", short: ["hpa"],
            categories: ["all"], status: true, storage: .init("autoscaling", "v2", "horizontalpodautoscalers"),
            storageKind: .init("autoscaling", "v2", "HorizontalPodAutoscaler"))
    }

    private static let batch: [ResourceInfo] = [
        row("batch", "v1", "cronjobs", "CronJob", short: ["cj"], categories: ["all"], status: true),
        row("batch", "v1", "jobs", "Job", categories: ["all"], status: true),
    ]

    private static let certificates: [ResourceInfo] = [
        row(
            "certificates.k8s.io", "v1", "certificatesigningrequests", "CertificateSigningRequest", global: true,
            short: ["csr"], status: true,
            [part("approval", of: "certificates.k8s.io", "v1", "CertificateSigningRequest")])
    ]

    private static let networking: [ResourceInfo] = [
        row("networking.k8s.io", "v1", "ingressclasses", "IngressClass", global: true),
        row("networking.k8s.io", "v1", "ingresses", "Ingress", short: ["ing"], status: true),
        row("networking.k8s.io", "v1", "ipaddresses", "IPAddress", global: true, short: ["ip"]),
        row("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy", short: ["netpol"]),
        row("networking.k8s.io", "v1", "servicecidrs", "ServiceCIDR", global: true, status: true),
    ]

    private static let policy: [ResourceInfo] = [
        row("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget", short: ["pdb"], status: true)
    ]

    private static let access: [ResourceInfo] = [
        row("rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", global: true),
        row("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", global: true),
        row("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
        row("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    ]

    private static let storage: [ResourceInfo] = [
        row("storage.k8s.io", "v1", "csidrivers", "CSIDriver", global: true),
        row("storage.k8s.io", "v1", "csinodes", "CSINode", global: true),
        row("storage.k8s.io", "v1", "csistoragecapacities", "CSIStorageCapacity"),
        row("storage.k8s.io", "v1", "storageclasses", "StorageClass", global: true, short: ["sc"]),
        row("storage.k8s.io", "v1", "volumeattachments", "VolumeAttachment", global: true, status: true),
        row("storage.k8s.io", "v1", "volumeattributesclasses", "VolumeAttributesClass", global: true, short: ["vac"]),
    ]

    private static func admission(_ plural: String, _ kind: String, status: Bool = false) -> ResourceInfo {
        row(
            "admissionregistration.k8s.io", "v1", plural, kind, global: true, categories: ["api-extensions"],
            status: status)
    }

    private static let extensions: [ResourceInfo] = [
        admission("mutatingadmissionpolicies", "MutatingAdmissionPolicy"),
        admission("mutatingadmissionpolicybindings", "MutatingAdmissionPolicyBinding"),
        admission("mutatingwebhookconfigurations", "MutatingWebhookConfiguration"),
        admission("validatingadmissionpolicies", "ValidatingAdmissionPolicy", status: true),
        admission("validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding"),
        admission("validatingwebhookconfigurations", "ValidatingWebhookConfiguration"),
        row(
            "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", global: true,
            short: ["crd", "crds"], categories: ["api-extensions"], status: true),
    ]

    private static let scheduling: [ResourceInfo] = [
        row("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", global: true, short: ["pc"])
    ]

    private static let others: [ResourceInfo] = [
        row("coordination.k8s.io", "v1", "leases", "Lease"),
        row("node.k8s.io", "v1", "runtimeclasses", "RuntimeClass", global: true),
        row("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice"),
        row("flowcontrol.apiserver.k8s.io", "v1", "flowschemas", "FlowSchema", global: true, status: true),
        row(
            "flowcontrol.apiserver.k8s.io", "v1", "prioritylevelconfigurations", "PriorityLevelConfiguration",
            global: true, status: true),
        row("resource.k8s.io", "v1", "deviceclasses", "DeviceClass", global: true),
        row("resource.k8s.io", "v1", "resourceclaims", "ResourceClaim", status: true),
        row("resource.k8s.io", "v1", "resourceclaimtemplates", "ResourceClaimTemplate"),
        row("resource.k8s.io", "v1", "resourceslices", "ResourceSlice", global: true),
    ]
}
