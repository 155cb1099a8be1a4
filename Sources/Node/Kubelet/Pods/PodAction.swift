// SPDX-License-Identifier: Apache-2.0

package import PodRuntime

/// What the state machine wants done. Each action with an operation ends in exactly one event back.
package enum PodAction: Hashable, Sendable {
    /// Ends in ``PodEvent/volumesMounted`` or ``PodEvent/volumesFailed(_:)``.
    case mountVolumes
    /// Ends in ``PodEvent/sandboxReady(addresses:)`` or ``PodEvent/sandboxFailed(_:)``.
    case createSandbox
    /// Pulls the image as its policy says, creates and starts an instance and runs its postStart hook; ends in
    /// ``PodEvent/startFinished(_:_:)``, after ``PodEvent/launched(_:_:)`` where a process was started.
    case startContainer(String, attempt: Int)
    /// Cuts short what goes before an instance, the pull above all; the start then ends in
    /// ``PodEvent/startFinished(_:_:)``, and starts nothing.
    case cancelStart(String)
    /// Runs the preStop hook of a container that is stopped only later; ends in ``PodEvent/preStopFinished(_:)``.
    case runPreStop(String, grace: Int)
    /// Runs the preStop hook unless that has been done, signals, waits and kills; ends in ``PodEvent/stopFinished(_:)``.
    case stopContainer(String, grace: Int, why: StopReason)
    /// Begins the probes of a started instance.
    case startProbes(String)
    case stopProbes(String)
    /// Removes the sandbox (network, namespaces, shared process); ends in ``PodEvent/sandboxRemoved``.
    case removeSandbox
    /// Ends in ``PodEvent/volumesRemoved``.
    case unmountVolumes
    /// Gives the pod's group and these containers' the limits that their resources ask for; ends in
    /// ``PodEvent/resized(_:)`` or ``PodEvent/resizeFailed(_:done:)``.
    case resize(containers: [String])
    /// Removes an ended instance with its file system; its log stays.
    case removeInstance(id: String)
    /// An event object: type, reason and message as upstream words them; for one container or the pod.
    case event(isWarning: Bool, reason: String, message: String, container: String?)
    /// Calls ``PodMachine/tick(now:)`` at this uptime (milliseconds); replaces an earlier wish.
    case wakeUp(at: Int64)
    /// The status may have changed.
    case publishStatus
    /// Everything is cleaned: delete the object in the API with grace 0, and forget the pod.
    case finishDeletion
}

/// Why a container is stopped: decides the `Killing` event.
package enum StopReason: Hashable, Sendable {
    /// The pod ends.
    case podEnds
    case livenessFailed
    case startupFailed
    /// The image in the spec changed.
    case definitionChanged
    /// Other resources were granted that the container wants to start with.
    case resized

    /// The message of the `Killing` event.
    package func message(container: String) -> String {
        switch self {
        case .podEnds: "Stopping container \(container)"
        case .livenessFailed: "Container \(container) failed liveness probe, will be restarted"
        case .startupFailed: "Container \(container) failed startup probe, will be restarted"
        case .definitionChanged: "Container \(container) definition changed, will be restarted"
        case .resized: "Container \(container) resize requires restart"
        }
    }
}

/// Why a container could not be started, by the reasons that upstream shows.
package struct StartFailure: Error, Hashable, Sendable {
    /// The step that failed.
    package enum Step: Hashable, Sendable {
        /// `ErrImagePull`; becomes ImagePullBackOff while waiting.
        case pull
        /// `ErrImageNeverPull`, `InvalidImageName`: trying again will not help, yet it is done, slowly.
        case image(reason: String)
        /// `CreateContainerConfigError`: a reference that is missing, a user that cannot be verified.
        case configuration
        /// `CreateContainerError`.
        case create
        /// `RunContainerError`: there was an instance; it counts as ended with 128.
        case run
        /// `PostStartHookError`: the instance was killed.
        case postStart
    }

    package var step: Step
    package var message: String

    package init(_ step: Step, _ message: String) {
        self.step = step
        self.message = message
    }

    /// The reason shown in `state.waiting`.
    package var reason: String {
        switch step {
        case .pull: "ErrImagePull"
        case .image(let reason): reason
        case .configuration: "CreateContainerConfigError"
        case .create: "CreateContainerError"
        case .run: "RunContainerError"
        case .postStart: "PostStartHookError"
        }
    }
}

/// The probes of a container.
package enum ProbeKind: String, Hashable, Sendable {
    case startup = "Startup"
    case liveness = "Liveness"
    case readiness = "Readiness"
}

/// What happened.
package enum PodEvent: Sendable {
    /// The object changed in the API.
    case podUpdated(Pod)
    case volumesMounted
    case volumesFailed(String)
    case sandboxReady(addresses: [String])
    case sandboxFailed(String)
    case sandboxRemoved
    case volumesRemoved
    /// The instance's process runs.
    case launched(String, ContainerInstance)
    /// The start operation is over; nil for success.
    case startFinished(String, StartFailure?)
    case stopFinished(String)
    case preStopFinished(String)
    /// An instance ended.
    case exited(String, id: String, ContainerExit)
    /// A probe's verdict changed (thresholds applied).
    case probe(String, id: String, ProbeKind, success: Bool)
    /// The node ends the pod: eviction.
    case evicted(reason: String, message: String, grace: Int)
    /// The machine goes down, and the pod is to come back with it.
    case suspended(grace: Int)
    /// The machine stays up: what ``suspended(grace:)`` ended goes on.
    case resumed
    /// Why the resources that the spec asks for are not granted, nil once they are, and the pod with what it asks for.
    case resizePending(PendingResize?, wanted: Pod)
    /// The limits of the pod are as granted, and those of these containers are in force.
    case resized([String: ContainerLimits])
    /// Limits could not be changed, for the reason given, but those of some containers.
    case resizeFailed(String, done: [String: ContainerLimits])
    /// A deadline that ``PodAction/wakeUp(at:)`` asked for.
    case tick
}
