// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
package import PodRuntime

/// Merges a pod's and a container's security contexts (upstream: securitycontext.DetermineEffectiveSecurityContext).
package struct SecuritySettings {
    /// Where profiles of type Localhost lie.
    package var seccompDirectory: String

    package init(seccompDirectory: String) { self.seccompDirectory = seccompDirectory }

    package func container(_ container: PodContainer, pod: Pod) throws -> ContainerSecurity {
        let own = container.securityContext
        let shared = pod.securityContext
        let either = { (name: String) -> JSON? in own[name] ?? shared[name] }
        var result = ContainerSecurity()
        result.isPrivileged = own["privileged"]?.bool ?? false
        result.capabilitiesAdded = (own["capabilities"]?["add"]?.elements ?? []).compactMap(\.string)
        result.capabilitiesDropped = (own["capabilities"]?["drop"]?.elements ?? []).compactMap(\.string)
        result.allowsPrivilegeEscalation = own["allowPrivilegeEscalation"]?.bool ?? true
        result.hasReadOnlyRoot = own["readOnlyRootFilesystem"]?.bool ?? false
        result.runAsUser = either("runAsUser")?.int.flatMap { UInt32(exactly: $0) }
        result.runAsGroup = either("runAsGroup")?.int.flatMap { UInt32(exactly: $0) }
        result.requiresNonRoot = either("runAsNonRoot")?.bool ?? false
        result.supplementalGroups = (shared["supplementalGroups"]?.elements ?? []).compactMap {
            $0.int.flatMap { UInt32(exactly: $0) }
        }
        if let group = shared["fsGroup"]?.int.flatMap({ UInt32(exactly: $0) }) {
            result.supplementalGroups.append(group)
        }
        result.mergesImageGroups = shared["supplementalGroupsPolicy"]?.string != "Strict"
        result.unmasksProc = own["procMount"]?.string == "Unmasked"
        result.seccomp = try seccomp(either("seccompProfile"))
        if case .localhost(let name)? = AppArmorProfile(of: container, in: pod) { result.appArmorProfile = name }
        return result
    }

    private func seccomp(_ profile: JSON?) throws -> ContainerSecurity.Seccomp {
        switch profile?["type"]?.string {
        case "RuntimeDefault": return .runtimeDefault
        case "Localhost":
            let name = profile?["localhostProfile"]?.string ?? ""
            // Validation refuses paths that climb; the file system is asked to agree.
            let directory = try DirectoryHandle(path: seccompDirectory)
            let file = try directory.openFile(inRoot: name)
            return .localhost(try file.bytes(limit: 1 << 20, name))
        default: return .unconfined
        }
    }
}
