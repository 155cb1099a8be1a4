// SPDX-License-Identifier: Apache-2.0

package import PodRuntime

/// How an instance of a container ended.
package struct ContainerExit: Hashable, Sendable {
    package var exitCode: Int
    /// The signal that ended it, 0 for none; the exit code is then 128 plus it.
    package var signal: Int
    /// `Completed`, `Error`, `OOMKilled`, `StartError`, `ContainerStatusUnknown`.
    package var reason: String
    package var message: String
    /// Seconds since 1970.
    package var finishedAt: Int64

    package init(exitCode: Int, signal: Int = 0, reason: String? = nil, message: String = "", finishedAt: Int64) {
        self.exitCode = exitCode
        self.signal = signal
        self.reason = reason ?? (exitCode == 0 ? "Completed" : "Error")
        self.message = message
        self.finishedAt = finishedAt
    }
}

/// One instance of a container that the runtime made.
package struct ContainerInstance: Hashable, Sendable {
    package var id: String
    /// 0 for the first instance, then one more for each restart.
    package var attempt: Int
    /// The image reference that the status shows.
    package var image: String
    /// The image as the pod's spec named it when the instance was made; nil where that is not known.
    package var requestedImage: String?
    package var imageID: String
    /// Seconds since 1970.
    package var startedAt: Int64
    /// Nil while it runs.
    package var exit: ContainerExit?
    /// What its cgroup allows now; nil where that is not known.
    package var limits: ContainerLimits?
    /// Whom its first process runs as; nil where that is not known.
    package var user: ContainerUser?

    package init(
        id: String, attempt: Int, image: String, imageID: String, startedAt: Int64, exit: ContainerExit? = nil
    ) {
        self.id = id
        self.attempt = attempt
        self.image = image
        self.imageID = imageID
        self.startedAt = startedAt
        self.exit = exit
    }
}

/// Whom a container's first process runs as.
package struct ContainerUser: Hashable, Sendable {
    package var uid: UInt32
    package var gid: UInt32
    package var supplementaryGroups: [UInt32]

    package init(uid: UInt32, gid: UInt32, supplementaryGroups: [UInt32]) {
        self.uid = uid
        self.gid = gid
        self.supplementaryGroups = supplementaryGroups
    }
}

/// Why a container does not run, as `state.waiting` shows it.
package struct WaitingReason: Hashable, Sendable {
    package var reason: String
    package var message: String

    package init(_ reason: String, _ message: String = "") {
        self.reason = reason
        self.message = message
    }
}

/// What the state machine knows of one container.
package struct ContainerFacts: Hashable, Sendable {
    /// What the executor is doing with the container.
    package enum Operation: Hashable, Sendable {
        case starting
        /// Being stopped, to be over by then (uptime, milliseconds).
        case stopping(deadline: Int64)
    }

    package var operation: Operation?
    /// The newest instance, running or ended.
    package var current: ContainerInstance?
    /// The instance before it.
    package var previous: ContainerInstance?
    package var waiting: WaitingReason?
    package var restartBackoff = Backoff()
    package var imageBackoff = Backoff()
    /// Not before this uptime is the container tried again.
    package var retryAt: Int64?
    /// When the newest instance ended (uptime).
    package var endedAt: Int64?
    /// Whether the start operation of the running instance is complete, its postStart hook too.
    package var hasStarted = false
    package var startupPassed = false
    package var readinessPassed = false
    /// The number of instances made so far.
    package var attempts = 0
    /// Whether the newest instance lives in the present sandbox; false after a power cut took the sandbox away.
    package var isInSandbox = false
    /// Whether it was stopped for other resources or another image and comes back whatever its restart policy says.
    package var comesBack = false
    /// The image that the last start operation was begun for.
    var startedImage = ""
    /// The instance whose preStop hook was begun before its stop.
    var preStopInstance: String?
    /// Whether that hook is under way.
    var isInPreStop = false

    package init() {}

    package var isRunning: Bool { current != nil && current?.exit == nil }
    package var isStopping: Bool { if case .stopping = operation { true } else { false } }
    package var restartCount: Int { max(0, attempts - 1) }
}

/// The pod's sandbox as the machine knows it.
package enum SandboxFacts: Hashable, Sendable {
    case none
    case creating
    /// The pod's addresses; empty for host network where the node's are shown.
    case ready(addresses: [String])
    case removing
    /// Removed for good.
    case removed
}

/// The pod's volumes as the machine knows them.
package enum VolumeFacts: Hashable, Sendable {
    case none
    case mounting
    case ready
    case unmounting
    case removed
}

/// Why a pod's containers have to go.
package enum PodEnding: Hashable, Sendable {
    /// Deleted in the API; seconds of grace.
    case deleted(grace: Int)
    /// All main containers are done and none starts again.
    case completed
    /// The node ends it: `DeadlineExceeded`, `Evicted`, ...; `status.reason` and `status.message`.
    case failed(reason: String, message: String, grace: Int)
    /// The machine goes down, and the pod is to run again when it is back; seconds of grace.
    case suspended(grace: Int)
}
