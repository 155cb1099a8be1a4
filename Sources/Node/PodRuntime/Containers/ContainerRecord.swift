// SPDX-License-Identifier: Apache-2.0

import JSON

/// What the runtime remembers of a container, on disk in its directory: enough to take it over after the agent was
/// stopped, killed or upgraded.
package struct ContainerRecord: Hashable, Sendable {
    package var id: String
    package var pod: PodIdentity
    package var name: String
    package var attempt: Int
    /// The reference that the status shows.
    package var image: String
    package var imageID: String
    package var logPath: String
    /// The container's cgroup below the hierarchies' root.
    package var cgroupPath: String
    /// Seconds since 1970; 0 until it has been started.
    package var startedAt: Int64
    /// The signal that asks it to stop.
    package var stopSignal: Int32
    package var tty: Bool
    package var stdin: Bool
    /// The ids that processes run with that exec adds.
    package var user: UInt32
    package var group: UInt32
    /// Where a message is found when it has ended; nil for nowhere.
    package var terminationMessagePath: String?
    /// How it ended; nil while it runs, or until somebody has looked.
    package var exit: ContainerExitStatus?
    /// The supplementary groups of its first process; nil in records of earlier versions.
    package var supplementaryGroups: [UInt32]?
    /// What its cgroup allows now; nil in records of earlier versions.
    package var limits: ContainerLimits?
    /// The image as the pod's spec named it; nil in records of earlier versions.
    package var requestedImage: String?
}

/// How a container's process ended.
package struct ContainerExitStatus: Hashable, Sendable {
    /// 128 plus the signal's number where a signal ended it.
    package var exitCode: Int
    package var signal: Int
    /// Whether the kernel killed it for lack of memory.
    package var isOutOfMemory: Bool
    /// Whether it is not known how it ended: the machine or the monitor died.
    package var isUnknown: Bool
    /// Seconds since 1970.
    package var finishedAt: Int64

    package init(
        exitCode: Int, signal: Int = 0, isOutOfMemory: Bool = false, isUnknown: Bool = false, finishedAt: Int64
    ) {
        self.exitCode = exitCode
        self.signal = signal
        self.isOutOfMemory = isOutOfMemory
        self.isUnknown = isUnknown
        self.finishedAt = finishedAt
    }

    /// Why it ended, in a word.
    package var reason: String {
        if isOutOfMemory { return "OOMKilled" }
        if isUnknown { return "Unknown" }
        return exitCode == 0 ? "Completed" : "Error"
    }
}

extension ContainerRecord {
    init?(json: JSON) {
        guard let id = json["id"]?.string, let uid = json["podUID"]?.string, let name = json["name"]?.string else {
            return nil
        }
        self.id = id
        pod = PodIdentity(
            uid: uid, name: json["podName"]?.string ?? "", namespace: json["podNamespace"]?.string ?? "")
        self.name = name
        attempt = json["attempt"]?.int ?? 0
        image = json["image"]?.string ?? ""
        imageID = json["imageID"]?.string ?? ""
        logPath = json["logPath"]?.string ?? ""
        cgroupPath = json["cgroupPath"]?.string ?? ""
        startedAt = Int64(json["startedAt"]?.int ?? 0)
        stopSignal = Int32(json["stopSignal"]?.int ?? 15)
        tty = json["tty"]?.bool ?? false
        stdin = json["stdin"]?.bool ?? false
        user = UInt32(clamping: json["user"]?.int ?? 0)
        group = UInt32(clamping: json["group"]?.int ?? 0)
        terminationMessagePath = json["terminationMessagePath"]?.string
        supplementaryGroups = json["groups"]?.array?.compactMap { $0.int.flatMap { UInt32(exactly: $0) } }
        requestedImage = json["requestedImage"]?.string
        limits = json["limits"].map { ContainerLimits(json: $0) }
        exit = json["exit"].map { exit in
            ContainerExitStatus(
                exitCode: exit["exitCode"]?.int ?? 255, signal: exit["signal"]?.int ?? 0,
                isOutOfMemory: exit["outOfMemory"]?.bool ?? false, isUnknown: exit["unknown"]?.bool ?? false,
                finishedAt: Int64(exit["finishedAt"]?.int ?? 0))
        }
    }

    var json: JSON {
        var result: JSON = [
            "id": .string(id), "podUID": .string(pod.uid), "podName": .string(pod.name),
            "podNamespace": .string(pod.namespace), "name": .string(name), "attempt": JSON(attempt),
            "image": .string(image), "imageID": .string(imageID), "logPath": .string(logPath),
            "cgroupPath": .string(cgroupPath), "startedAt": .int(startedAt), "stopSignal": .int(Int64(stopSignal)),
            "tty": .bool(tty), "stdin": .bool(stdin), "user": .int(Int64(user)), "group": .int(Int64(group)),
        ]
        if let terminationMessagePath { result["terminationMessagePath"] = .string(terminationMessagePath) }
        if let supplementaryGroups { result["groups"] = .array(supplementaryGroups.map { .int(Int64($0)) }) }
        if let requestedImage { result["requestedImage"] = .string(requestedImage) }
        if let limits { result["limits"] = limits.json }
        if let exit {
            result["exit"] = [
                "exitCode": JSON(exit.exitCode), "signal": JSON(exit.signal), "outOfMemory": .bool(exit.isOutOfMemory),
                "unknown": .bool(exit.isUnknown), "finishedAt": .int(exit.finishedAt),
            ]
        }
        return result
    }
}
