// SPDX-License-Identifier: Apache-2.0

import JSON

/// The further checks of the level `restricted`: a pod says itself that it gives up what it does not need.
extension PodSecuritySubject {
    private static let ordinaryVolumes = [
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret",
    ]
    /// What upstream's check knows by name.
    private static let restrictedVolumes = [
        "hostPath", "gcePersistentDisk", "awsElasticBlockStore", "gitRepo", "nfs", "iscsi", "glusterfs", "rbd",
        "flexVolume", "cinder", "cephfs", "flocker", "fc", "azureFile", "vsphereVolume", "quobyte", "azureDisk",
        "photonPersistentDisk", "portworxVolume", "scaleIO", "storageos",
    ]

    func privilegeEscalation() -> PodSecurityViolation? {
        guard standard.includes(8), !isWindows else { return nil }
        let names = names { Self.context($0)?["allowPrivilegeEscalation"]?.bool != false }
        guard !names.isEmpty else { return nil }
        return .init(
            reason: "allowPrivilegeEscalation != false",
            detail: "\(Self.listed("container", names)) must set securityContext.allowPrivilegeEscalation=false")
    }

    func keptCapabilities() -> PodSecurityViolation? {
        if isWindows { return nil }
        let keeping = names { container in
            let dropped = Self.context(container)?["capabilities"]?.list("drop") ?? []
            return !dropped.contains { $0.string == "ALL" }
        }
        var faults: [String] = []
        if !keeping.isEmpty {
            faults.append("\(Self.listed("container", keeping)) must set securityContext.capabilities.drop=[\"ALL\"]")
        }
        if let added = forbiddenCapabilities({ $0 == "NET_BIND_SERVICE" }) { faults.append(added) }
        guard !faults.isEmpty else { return nil }
        return .init(reason: "unrestricted capabilities", detail: faults.joined(separator: "; "))
    }

    func volumeTypes() -> PodSecurityViolation? {
        let bad = spec.list("volumes").filter { volume in
            !Self.ordinaryVolumes.contains { volume.value($0) != nil }
        }
        guard !bad.isEmpty else { return nil }
        let types = Set(bad.map { volume in Self.restrictedVolumes.first { volume.value($0) != nil } ?? "unknown" })
        return .init(
            reason: "restricted volume types",
            detail: "\(Self.listed("volume", bad.map { $0.text("name") })) \(bad.count == 1 ? "uses" : "use") "
                + Self.listed("restricted volume type", types.sorted()))
    }

    func rootAllowed() -> PodSecurityViolation? {
        if hasOwnUsers { return nil }
        let reason = "runAsNonRoot != true"
        func setting(_ context: JSON?) -> Bool? { context?["runAsNonRoot"]?.bool }
        let ofPod = setting(podContext)
        if let setters = Self.setters(pod: ofPod == false, names { setting(Self.context($0)) == false }) {
            return .init(reason: reason, detail: "\(setters) must not set securityContext.runAsNonRoot=false")
        }
        let silent = ofPod == true ? [] : names { setting(Self.context($0)) == nil }
        guard !silent.isEmpty else { return nil }
        return .init(
            reason: reason,
            detail: "pod or \(Self.listed("container", silent)) must set securityContext.runAsNonRoot=true")
    }

    func rootUser() -> PodSecurityViolation? {
        guard standard.includes(23), !hasOwnUsers else { return nil }
        func isRoot(_ context: JSON?) -> Bool { context?["runAsUser"]?.int == 0 }
        return Self.setters(pod: isRoot(podContext), names { isRoot(Self.context($0)) }).map {
            .init(reason: "runAsUser=0", detail: "\($0) must not set runAsUser=0")
        }
    }

    func missingSeccomp() -> PodSecurityViolation? {
        guard standard.includes(19), !isWindows else { return nil }
        if let bad = badSeccomp() { return bad }
        if podContext?.value("seccompProfile") != nil { return nil }
        let silent = names { Self.context($0)?.value("seccompProfile") == nil }
        guard !silent.isEmpty else { return nil }
        return .init(
            reason: "seccompProfile",
            detail: "pod or \(Self.listed("container", silent)) must set securityContext.seccompProfile.type to "
                + "\"RuntimeDefault\" or \"Localhost\"")
    }
}
