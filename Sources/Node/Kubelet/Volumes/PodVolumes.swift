// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import NIOPosix

/// The volumes of one pod on this node: set up before its containers, kept up to date, taken down after them.
struct PodVolumes: Sendable {
    let pod: Pod
    /// The pod's directory on disk: emptyDir volumes and what must survive a reboot.
    let directory: String
    /// The pod's directory in memory: what is made from objects, secrets above all.
    let volatileDirectory: String
    let client: any ResourceClient
    let objects: ObjectCache
    let tokens: TokenSource
    let clock: Clock

    /// What the downward API may ask for.
    let node: FieldReference.NodeFacts

    private var fsGroup: UInt32? { pod.securityContext["fsGroup"]?.int.flatMap { UInt32(exactly: $0) } }

    private func setUpFailure(_ name: String, _ error: any Error) -> ConfigurationError {
        ConfigurationError("MountVolume.SetUp failed for volume \"\(name)\" : \(Self.text(error))")
    }

    private static func text(_ error: any Error) -> String {
        if let status = error as? StatusError { return status.message }
        return "\(error)"
    }

    /// Sets all volumes up; what is there already is left or brought up to date.
    ///
    /// - Returns: When (seconds since 1970) a token in them wants renewal; nil if none ever does.
    func setUp() async throws -> Int64? {
        var renewal: Int64?
        for volume in pod.volumes {
            let name = volume["name"]?.string ?? ""
            do {
                if let wanted = try await setUp(volume, name) { renewal = min(renewal ?? wanted, wanted) }
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                throw setUpFailure(name, error)
            }
        }
        return renewal
    }

    /// Writes the files of volumes that are made from objects anew where they changed.
    func refresh() async throws -> Int64? {
        var renewal: Int64?
        for volume in pod.volumes where Self.isMadeFromObjects(volume) {
            let name = volume["name"]?.string ?? ""
            do {
                if let wanted = try await setUp(volume, name) { renewal = min(renewal ?? wanted, wanted) }
            } catch {
                throw setUpFailure(name, error)
            }
        }
        return renewal
    }

    static func isMadeFromObjects(_ volume: JSON) -> Bool {
        ["configMap", "secret", "downwardAPI", "projected"].contains { volume[$0] != nil }
    }

    /// Whether the volume has files of the pod's labels or annotations.
    static func showsMetadata(_ volume: JSON) -> Bool {
        let sources =
            [volume["downwardAPI"]] + (volume["projected"]?["sources"]?.elements ?? []).map { $0["downwardAPI"] }
        return sources.contains { source in
            (source?["items"]?.elements ?? []).contains { item in
                let field = item["fieldRef"]?["fieldPath"]?.string ?? ""
                return field.hasPrefix("metadata.labels") || field.hasPrefix("metadata.annotations")
            }
        }
    }

    private func setUp(_ volume: JSON, _ name: String) async throws -> Int64? {
        if let source = volume["emptyDir"] {
            try await blocking { try setUpEmptyDirectory(source, name) }
        } else if let source = volume["hostPath"] {
            try await blocking {
                try HostPathVolume.prepare(source["path"]?.string ?? "", type: source["type"]?.string ?? "")
            }
        } else if Self.isMadeFromObjects(volume) {
            return try await setUpFromObjects(volume, name)
        } else if volume["persistentVolumeClaim"] != nil || volume["ephemeral"] != nil {
            try await setUpClaim(volume, name)
        } else {
            let kind = volume.members.keys.first { $0 != "name" } ?? "unknown"
            throw ConfigurationError("volume type \(kind) is not supported on this node")
        }
        return nil
    }

    private func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await NIOThreadPool.singleton.runIfActive(body)
    }

    // MARK: Paths

    func emptyDirectoryPath(_ name: String) -> String {
        "\(directory)/volumes/kubernetes.io~empty-dir/\(name)"
    }

    private func objectPath(_ volume: JSON, _ name: String) -> String {
        let kind =
            volume["configMap"] != nil
            ? "configmap"
            : volume["secret"] != nil ? "secret" : volume["projected"] != nil ? "projected" : "downward-api"
        return "\(volatileDirectory)/volumes/kubernetes.io~\(kind)/\(name)"
    }

    /// The host's directory of a volume that has been set up; nil if the pod has no such volume.
    func hostPath(of name: String) async throws -> String? {
        guard let volume = pod.volumes.first(where: { $0["name"]?.string == name }) else { return nil }
        if volume["emptyDir"] != nil { return emptyDirectoryPath(name) }
        if let path = volume["hostPath"]?["path"]?.string { return path }
        if Self.isMadeFromObjects(volume) { return objectPath(volume, name) }
        return try await persistentVolume(of: volume, name).path
    }

    /// Whether the volume's own source says read-only.
    func isReadOnly(_ name: String) -> Bool {
        guard let volume = pod.volumes.first(where: { $0["name"]?.string == name }) else { return false }
        return Self.isMadeFromObjects(volume) || volume["persistentVolumeClaim"]?["readOnly"]?.bool == true
    }

    // MARK: Kinds

    private func setUpEmptyDirectory(_ source: JSON, _ name: String) throws {
        let path = emptyDirectoryPath(name)
        try Files.makeDirectories(path)
        if source["medium"]?.string == "Memory" {
            if try !MountInfo.current().contains(where: { $0.mountPoint == path }) {
                let size = Self.memoryVolumeSize(source, of: pod, allocatable: node.allocatable["memory"])
                let limit = size.map { ",size=\($0)" } ?? ""
                try Mounting.mount("tmpfs", at: path, type: "tmpfs", data: "mode=0777\(limit)")
            }
        }
        let descriptor = try FileDescriptor.open(path, [.read, .directory])
        // The mask of the process takes bits from mkdir(2).
        try descriptor.setPermissions(fsGroup == nil ? 0o777 : 0o2777, path)
        if let fsGroup { try descriptor.setOwner(0, group: fsGroup, path) }
    }

    /// Bytes that a volume in memory may hold: what its source says, but no more than the pod may have, or any pod at all
    /// (upstream: calculateEmptyDirMemorySize); nil where nothing says anything.
    ///
    /// - Parameter allocatable: Bytes that the node has for pods.
    static func memoryVolumeSize(_ source: JSON, of pod: Pod, allocatable: Int64?) -> Int64? {
        let limits = [ResourceAmount.units(source["sizeLimit"]), ResourceSettings.pod(pod).memoryLimit, allocatable]
        return limits.compactMap { $0 }.filter { $0 > 0 }.min()
    }

    private func setUpFromObjects(_ volume: JSON, _ name: String) async throws -> Int64? {
        var renewal: Int64?
        let payload: VolumePayload
        if let source = volume["configMap"] {
            var made = VolumePayload(defaultMode: source["defaultMode"]?.int)
            try await made.add(configMap: objects.get(pod.configMap(source["name"]?.string ?? "")), source: source)
            payload = made
        } else if let source = volume["secret"] {
            var made = VolumePayload(defaultMode: source["defaultMode"]?.int)
            try await made.add(secret: objects.get(pod.secret(source["secretName"]?.string ?? "")), source: source)
            payload = made
        } else if let source = volume["downwardAPI"] {
            var made = VolumePayload(defaultMode: source["defaultMode"]?.int)
            try made.add(downwardAPI: source, fields: FieldReference(pod: pod, node: node), pod: pod)
            payload = made
        } else {
            (payload, renewal) = try await project(volume["projected"] ?? .null)
        }
        let target = AtomicDirectory(path: objectPath(volume, name), group: fsGroup)
        let stamp = Self.stamp(clock.now().wallSeconds)
        let files = payload.files
        try await blocking { _ = try target.write(files, stamp: stamp) }
        return renewal
    }

    /// `2026_01_02_03_04_05`, as upstream names the directories.
    private static func stamp(_ seconds: Int64) -> String {
        String(WallClock.text(seconds).dropLast().map { $0 == "-" || $0 == ":" || $0 == "T" ? "_" : $0 })
    }

    private func project(_ source: JSON) async throws -> (VolumePayload, Int64?) {
        var payload = VolumePayload(defaultMode: source["defaultMode"]?.int)
        var renewal: Int64?
        for part in source["sources"]?.elements ?? [] {
            if let map = part["configMap"] {
                try await payload.add(configMap: objects.get(pod.configMap(map["name"]?.string ?? "")), source: map)
            } else if let secret = part["secret"] {
                try await payload.add(secret: objects.get(pod.secret(secret["name"]?.string ?? "")), source: secret)
            } else if let downward = part["downwardAPI"] {
                try payload.add(downwardAPI: downward, fields: FieldReference(pod: pod, node: node), pod: pod)
            } else if let wanted = part["serviceAccountToken"] {
                let token = try await tokens.token(
                    .init(
                        namespace: pod.namespace, serviceAccount: pod.serviceAccountName, podName: pod.name,
                        podUID: pod.uid, audience: wanted["audience"]?.string ?? "",
                        lifetime: wanted["expirationSeconds"]?.int ?? 3600))
                try payload.add(
                    token: token.text, path: wanted["path"]?.string ?? "", owner: commonUser, hasGroup: fsGroup != nil)
                renewal = min(renewal ?? token.renewAt, token.renewAt)
            } else {
                let kind = part.members.keys.first ?? "unknown"
                throw ConfigurationError("projected source \(kind) is not supported on this node")
            }
        }
        return (payload, renewal)
    }

    /// The user that all containers run as, if they agree and no group reads the token for them.
    private var commonUser: UInt32? {
        if fsGroup != nil { return nil }
        let users = Set(
            pod.allContainers.map { $0.securityContext["runAsUser"]?.int ?? pod.securityContext["runAsUser"]?.int })
        guard users.count == 1, let user = users.first ?? nil else { return nil }
        return UInt32(exactly: user)
    }

    // MARK: Persistent volumes

    private func setUpClaim(_ volume: JSON, _ name: String) async throws {
        let found = try await persistentVolume(of: volume, name)
        let group = fsGroup
        let onMismatch = pod.securityContext["fsGroupChangePolicy"]?.string == "OnRootMismatch"
        try await blocking {
            try HostPathVolume.prepare(found.path, type: found.type)
            if let group, found.isOwned { try VolumeOwnership.apply(group, to: found.path, onRootMismatch: onMismatch) }
        }
    }

    private struct FoundVolume {
        let path: String
        let type: String
        /// Whether fsGroup applies: to local volumes, not to hostPath, as upstream.
        let isOwned: Bool
    }

    private func persistentVolume(of volume: JSON, _ name: String) async throws -> FoundVolume {
        let claimName = volume["persistentVolumeClaim"]?["claimName"]?.string ?? "\(pod.name)-\(name)"
        let claim = try await client.get(.persistentVolumeClaims, namespace: pod.namespace, name: claimName)
        guard claim.status["phase"]?.string == "Bound", let bound = claim.spec["volumeName"]?.string else {
            throw ConfigurationError("PVC \(pod.namespace)/\(claimName) is not bound")
        }
        let object = try await client.get(.persistentVolumes, namespace: nil, name: bound)
        guard object.spec["claimRef"]?["uid"]?.string == claim.uid else {
            throw ConfigurationError("PV \(bound) is bound to another claim than \(pod.namespace)/\(claimName)")
        }
        if let source = object.spec["hostPath"], let path = source["path"]?.string {
            return FoundVolume(path: path, type: source["type"]?.string ?? "", isOwned: false)
        }
        if let path = object.spec["local"]?["path"]?.string {
            return FoundVolume(path: path, type: "Directory", isOwned: true)
        }
        throw ConfigurationError("PV \(bound) is of a kind that this node cannot mount")
    }

    // MARK: Taking down

    /// Unmounts and removes what was set up; data on the host and in persistent volumes stays.
    func tearDown() async throws {
        let roots = ["\(directory)/volumes", "\(volatileDirectory)/volumes"]
        try await blocking {
            for root in roots {
                let below = try MountInfo.current().map(\.mountPoint).filter { $0.hasPrefix("\(root)/") }
                for mount in below.reversed() { try Mounting.unmount(mount, detach: true) }
                try Files.removeTree(root)
            }
        }
    }
}
