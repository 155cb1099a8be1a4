// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a container is confined by (upstream: pkg/security/apparmor).
enum AppArmorProfile: Hashable, Sendable {
    /// That of the runtime; this one brings none, so its containers run as the node's agent does.
    case runtimeDefault
    case unconfined
    /// A profile that is loaded on the node, by its name.
    case localhost(String)

    /// Annotations of the time before there were fields, with the container's name after it.
    private static let annotation = "container.apparmor.security.beta.kubernetes.io/"

    /// A security context's `appArmorProfile`; nil where there is none.
    init?(_ json: JSON?) {
        switch json?["type"]?.string {
        case "RuntimeDefault": self = .runtimeDefault
        case "Unconfined": self = .unconfined
        case "Localhost": self = .localhost(json?["localhostProfile"]?.string ?? "")
        default: return nil
        }
    }

    private init?(annotation: String?) {
        switch annotation {
        case "runtime/default": self = .runtimeDefault
        case "unconfined": self = .unconfined
        case let text? where text.hasPrefix("localhost/"): self = .localhost(String(text.dropFirst("localhost/".count)))
        default: return nil
        }
    }

    /// A container's profile: its own, that of an annotation, or the pod's; nil where none of them says anything.
    init?(of container: PodContainer, in pod: Pod) {
        guard
            let profile = Self(container.securityContext["appArmorProfile"])
                ?? Self(annotation: pod.object.annotations[Self.annotation + container.name])
                ?? Self(pod.securityContext["appArmorProfile"])
        else { return nil }
        self = profile
    }

    /// Why a node cannot confine a pod as it wants; nil if it can, or need not.
    static func problem(of pod: Pod, isEnabled: Bool) -> String? {
        let profiles = pod.allContainers.compactMap { Self(of: $0, in: pod) }
        let isRequired = (profiles + [Self(pod.securityContext["appArmorProfile"])]).contains {
            $0 != nil && $0 != .unconfined
        }
        if !isRequired { return nil }
        if !isEnabled { return "AppArmor is not enabled on the host" }
        return profiles.contains(.localhost("")) ? "invalid empty AppArmor profile name" : nil
    }
}
