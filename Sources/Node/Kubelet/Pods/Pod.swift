// SPDX-License-Identifier: Apache-2.0

package import JSON
package import KubeAPI

/// A pod as the kubelet reads it: the object with its containers told apart by kind.
package struct Pod: Hashable, Sendable {
    /// The whole object, as the API or the node's own copy on disk gave it.
    package let object: KubeObject
    /// Init containers and sidecars in the order of the manifest.
    package let initContainers: [PodContainer]
    /// The main containers in the order of the manifest.
    package let containers: [PodContainer]
    /// What was put into the pod while it ran, to debug it.
    package let ephemeralContainers: [PodContainer]

    package init(_ object: KubeObject) {
        self.object = object
        let spec = object.json["spec"]
        let policy = RestartPolicy(rawValue: spec?["restartPolicy"]?.string ?? "") ?? .always
        initContainers = (spec?["initContainers"]?.elements ?? []).map {
            PodContainer($0, kind: $0["restartPolicy"]?.string == "Always" ? .sidecar : .initial, podPolicy: policy)
        }
        containers = (spec?["containers"]?.elements ?? []).map { PodContainer($0, kind: .main, podPolicy: policy) }
        ephemeralContainers = (spec?["ephemeralContainers"]?.elements ?? []).map {
            PodContainer($0, kind: .ephemeral, podPolicy: policy)
        }
    }

    package var uid: String { object.uid }
    package var name: String { object.name }
    package var namespace: String { object.namespace }
    package var key: ObjectKey { object.key }
    package var spec: JSON { object.json["spec"] ?? .null }
    package var status: JSON { object.json["status"] ?? .null }

    /// All containers: init containers and sidecars first, ephemeral containers last.
    package var allContainers: [PodContainer] { initContainers + containers + ephemeralContainers }

    /// The container of that name, of whatever kind.
    package func container(named name: String) -> PodContainer? {
        allContainers.first { $0.name == name }
    }

    package var restartPolicy: RestartPolicy {
        RestartPolicy(rawValue: spec["restartPolicy"]?.string ?? "") ?? .always
    }

    /// Seconds between SIGTERM and SIGKILL, 30 where the pod says nothing.
    package var terminationGracePeriodSeconds: Int { spec["terminationGracePeriodSeconds"]?.boundedInt ?? 30 }
    /// Set once the API has accepted a deletion: the seconds that the pod still gets.
    package var deletionGracePeriodSeconds: Int? {
        guard object.isBeingDeleted else { return nil }
        return object.json["metadata"]?["deletionGracePeriodSeconds"]?.boundedInt ?? terminationGracePeriodSeconds
    }
    package var activeDeadlineSeconds: Int? { spec["activeDeadlineSeconds"]?.boundedInt }
    package var hostNetwork: Bool { spec["hostNetwork"]?.bool ?? false }
    package var hostPID: Bool { spec["hostPID"]?.bool ?? false }
    package var hostIPC: Bool { spec["hostIPC"]?.bool ?? false }
    /// Whether it asks for a user namespace (`hostUsers: false`).
    package var wantsOwnUsers: Bool { spec["hostUsers"]?.bool == false }
    package var sharesProcessNamespace: Bool { spec["shareProcessNamespace"]?.bool ?? false }
    package var serviceAccountName: String { spec["serviceAccountName"]?.string ?? "default" }
    package var nodeName: String { spec["nodeName"]?.string ?? "" }
    package var securityContext: JSON { spec["securityContext"] ?? .null }
    package var volumes: [JSON] { spec["volumes"]?.elements ?? [] }
    /// The phase last written to the API.
    package var phase: String { status["phase"]?.string ?? "Pending" }
    /// Whether it stands in a manifest on this node rather than in the API (upstream's config source annotation).
    package var isStatic: Bool {
        switch object.annotations["kubernetes.io/config.source"] {
        case nil, "api": false
        default: true
        }
    }
    /// How upstream's messages name a pod: `name_namespace(uid)`.
    package var longName: String { "\(name)_\(namespace)(\(uid))" }
    /// The pod's host name inside its sandbox (upstream: GeneratePodHostNameAndDomain).
    package var hostname: String {
        let wanted = spec["hostnameOverride"]?.string ?? spec["hostname"]?.string ?? ""
        guard wanted.isEmpty else { return wanted }
        var name = String(self.name.prefix(63))
        while let last = name.last, last == "-" || last == "." { name.removeLast() }
        return name
    }
    package var subdomain: String { spec["subdomain"]?.string ?? "" }

    /// The requests and limits that the pod states as a whole (KEP-2837); nil where it states none.
    package var ownResources: JSON? { PodView(object).hasOwnResources ? spec["resources"] : nil }

    /// `Guaranteed`, `Burstable` or `BestEffort`, by requests and limits of the pod or of its init and main containers
    /// (upstream: ComputePodQOS).
    package var qosClass: QOSClass {
        var anything = false
        var guaranteed = true
        for resources in ownResources.map({ [$0] }) ?? (initContainers + containers).map(\.resources) {
            let requests = resources["requests"] ?? .null
            let limits = resources["limits"] ?? .null
            for name in ["cpu", "memory"] {
                let limit = ResourceAmount.milli(limits[name])
                let request = ResourceAmount.milli(requests[name]) ?? limit
                if (limit ?? 0) > 0 || (request ?? 0) > 0 { anything = true }
                if (limit ?? 0) == 0 || limit != request { guaranteed = false }
            }
        }
        if !anything { return .bestEffort }
        return guaranteed ? .guaranteed : .burstable
    }
}

/// Quality of service: what a pod's requests and limits promise it.
package enum QOSClass: String, Sendable {
    case guaranteed = "Guaranteed"
    case burstable = "Burstable"
    case bestEffort = "BestEffort"
}

/// When a container that ended is started again.
package enum RestartPolicy: String, Sendable {
    case always = "Always"
    case onFailure = "OnFailure"
    case never = "Never"
}
