// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// Which behaviour each resource has.
struct BehaviourTable: Sendable {
    private var special: [String: any ResourceBehaviour] = [:]

    init(settings: RegistrySettings, authorizer: Authorizer) {
        special["namespaces"] = NamespaceBehaviour()
        special["pods"] = PodBehaviour()
        special["services"] = ServiceBehaviour(settings: settings)
        special["secrets"] = SecretBehaviour()
        special["configmaps"] = ImmutableDataBehaviour(traits: Self.traits("configmaps"))
        special["persistentvolumes"] = VolumeBehaviour()
        special["persistentvolumeclaims"] = ClaimBehaviour()
        special["ingresses.networking.k8s.io"] = IngressBehaviour()
        special["servicecidrs.networking.k8s.io"] = ServiceRangeBehaviour()
        special["flowschemas.flowcontrol.apiserver.k8s.io"] = FlowSchemaBehaviour()
        special["priorityclasses.scheduling.k8s.io"] = PriorityClassBehaviour()
        special["certificatesigningrequests.certificates.k8s.io"] = SigningRequestBehaviour(
            authorizer: authorizer)
        let accessControl = AccessControlBehaviour(authorizer: authorizer)
        for resource in ["roles", "rolebindings", "clusterroles", "clusterrolebindings"] {
            special["\(resource).rbac.authorization.k8s.io"] = accessControl
        }
    }

    /// The behaviour of a resource, by the version in which it is stored.
    func behaviour(of storage: GroupVersionResource) -> any ResourceBehaviour {
        special[storage.groupResource] ?? GenericBehaviour(traits: Self.traits(storage.groupResource))
    }

    /// The resources whose generation counts changes of their specification.
    private static let counted: Set<String> = [
        "pods", "replicationcontrollers", "deployments.apps", "replicasets.apps", "statefulsets.apps",
        "daemonsets.apps", "jobs.batch", "cronjobs.batch", "ingresses.networking.k8s.io",
        "ingressclasses.networking.k8s.io", "networkpolicies.networking.k8s.io", "poddisruptionbudgets.policy",
        "endpointslices.discovery.k8s.io", "flowschemas.flowcontrol.apiserver.k8s.io",
        "prioritylevelconfigurations.flowcontrol.apiserver.k8s.io", "priorityclasses.scheduling.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "validatingadmissionpolicies.admissionregistration.k8s.io",
        "mutatingadmissionpolicies.admissionregistration.k8s.io",
        "customresourcedefinitions.apiextensions.k8s.io", "deviceclasses.resource.k8s.io",
        "resourceslices.resource.k8s.io",
    ]

    private static let createdOnUpdate: Set<String> = [
        "endpoints", "events", "limitranges", "podtemplates", "services", "leases.coordination.k8s.io",
        "roles.rbac.authorization.k8s.io", "rolebindings.rbac.authorization.k8s.io",
        "clusterroles.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
    ]

    private static let conditionallyUpdated: Set<String> = [
        "leases.coordination.k8s.io", "apiservices.apiregistration.k8s.io", "poddisruptionbudgets.policy",
        "customresourcedefinitions.apiextensions.k8s.io", "csidrivers.storage.k8s.io", "csinodes.storage.k8s.io",
        "volumeattachments.storage.k8s.io", "runtimeclasses.node.k8s.io",
        "validatingwebhookconfigurations.admissionregistration.k8s.io",
        "mutatingwebhookconfigurations.admissionregistration.k8s.io",
    ]

    private static let deletedObjectReturned: Set<String> = [
        "pods", "services", "serviceaccounts", "persistentvolumes", "persistentvolumeclaims", "podtemplates",
        "resourcequotas", "namespaces", "storageclasses.storage.k8s.io", "csidrivers.storage.k8s.io",
        "csinodes.storage.k8s.io", "volumeattachments.storage.k8s.io", "resourceclaims.resource.k8s.io",
        "resourceclaimtemplates.resource.k8s.io", "resourceslices.resource.k8s.io", "deviceclasses.resource.k8s.io",
    ]

    /// The generic rules for a resource (upstream: the strategies in `pkg/registry`).
    static func traits(_ resource: String) -> ResourceTraits {
        var traits = ResourceTraits()
        traits.hasGeneration = counted.contains(resource)
        traits.generationCountsAnnotations = resource == "deployments.apps"
        traits.createsOnUpdate = createdOnUpdate.contains(resource)
        traits.allowsUnconditionalUpdate = !conditionallyUpdated.contains(resource)
        traits.returnsDeletedObject = deletedObjectReturned.contains(resource)
        traits.keepsStatusOnCreate = resource == "nodes"
        if resource == "jobs.batch" || resource == "replicationcontrollers" { traits.defaultPropagation = .orphan }
        return traits
    }
}
