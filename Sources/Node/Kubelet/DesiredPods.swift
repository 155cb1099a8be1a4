// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Logging
import Synchronization

/// The last known desired state of the node's pods on disk, so that they come back after a power cut although the API
/// server may be away. A pod is written only when something that matters for running it has changed.
final class DesiredPods: Sendable {
    private let directory: String
    private let logger: Logger
    /// What is on disk, by pod.
    private let written = Mutex<[String: JSON]>([:])

    init(directory: String, logger: Logger) {
        self.directory = directory
        self.logger = logger
    }

    private func file(_ uid: String) -> String { "\(directory)/\(uid)/pod.json" }

    /// Writes a pod if it differs from what is on disk.
    func save(_ pod: Pod) {
        let essence = Self.essence(of: pod)
        guard written.withLock({ $0[pod.uid] }) != essence else { return }
        do {
            try Files.makeDirectories("\(directory)/\(pod.uid)")
            // Not waited for: what a power cut takes away the API server still has.
            try Files.replace(
                file(pod.uid), with: essence.serialized(), permissions: 0o600, durable: false)
            written.withLock { $0[pod.uid] = essence }
        } catch {
            logger.warning(
                "A pod's desired state could not be kept on disk",
                metadata: ["namespace": "\(pod.namespace)", "pod": "\(pod.name)", "error": "\(error)"])
        }
    }

    // MARK: Resources

    private static func json(_ granted: [String: JSON]) -> JSON {
        .object(JSONObject(granted.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value) }))
    }

    private func grantFile(_ uid: String) -> String { "\(directory)/\(uid)/granted.json" }

    /// Keeps the resources that the node has granted a pod whose spec asks, or once asked, for others.
    func save(_ granted: [String: JSON], of pod: Pod) {
        do {
            try Files.makeDirectories("\(directory)/\(pod.uid)")
            try Files.replace(
                grantFile(pod.uid), with: Self.json(granted).serialized(), permissions: 0o600, durable: false)
        } catch {
            logger.warning(
                "A pod's resources could not be kept on disk",
                metadata: ["namespace": "\(pod.namespace)", "pod": "\(pod.name)", "error": "\(error)"])
        }
    }

    /// What the node had granted a pod when it last ran it; nil for a pod that is new here.
    func granted(_ uid: String) -> [String: JSON]? {
        // Neither file is there for a new pod, and one that a power cut cut short says nothing.
        if let bytes = try? Files.read(grantFile(uid)), let json = try? JSON.parse(bytes) {
            return Dictionary(json.members.map { ($0.key, $0.value) }) { first, _ in first }
        }
        let known = written.withLock { $0[uid] } ?? (try? Files.read(file(uid))).flatMap { try? JSON.parse($0) }
        return known.map { Pod(KubeObject($0)).resources }
    }

    /// What a pod is without what changes all the time: its status is kept only as far as restarts are concerned.
    private static func essence(of pod: Pod) -> JSON {
        var json = pod.object.json
        json["metadata", "resourceVersion"] = nil
        json["metadata", "managedFields"] = nil
        var status: JSON = ["phase": .string(pod.phase == "Running" ? "Running" : pod.phase)]
        for key in ["startTime", "reason", "message"] { status[key] = pod.status[key] }
        for key in ["containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"] {
            if ["Succeeded", "Failed"].contains(pod.phase) {
                status[key] = pod.status[key]
            } else if let statuses = pod.status[key]?.array {
                status[key] = .array(statuses.map(instance))
            }
        }
        json["status"] = status
        return json
    }

    /// Of a container's status which instance it is about: from that its restarts are counted on.
    private static func instance(_ status: JSON) -> JSON {
        var result: JSON = [:]
        for key in ["name", "image", "imageID", "containerID", "restartCount"] { result[key] = status[key] }
        if status["state"]?["waiting"] == nil {
            result["state"] = status["state"]
        } else {
            // Why it waits changes all the time.
            result["state"] = ["waiting": [:]]
            result["lastState"] = status["lastState"]
        }
        return result
    }

    /// All pods on disk; what cannot be read is left out.
    func load() -> [KubeObject] {
        var pods: [KubeObject] = []
        for uid in uids() {
            // A file that a power cut cut short is no pod; the API server tells it again.
            guard let bytes = try? Files.read(file(uid)), let json = try? JSON.parse(bytes) else { continue }
            let object = KubeObject(json)
            guard object.uid == uid else { continue }
            written.withLock { $0[uid] = json }
            pods.append(object)
        }
        return pods
    }

    /// The pods that have a directory.
    func uids() -> Set<String> {
        // Without the directory there are none yet.
        Set((try? Files.names(in: directory)) ?? [])
    }

    func remove(uid: String) {
        written.withLock { _ = $0.removeValue(forKey: uid) }
        // Removed with the pod's directory; this only catches what was written after that.
        try? Files.removeTree("\(directory)/\(uid)")
    }
}
