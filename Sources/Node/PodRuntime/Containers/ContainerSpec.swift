// SPDX-License-Identifier: Apache-2.0

/// What a container is to be, in the runtime's own terms: references are resolved, names of volumes are paths.
package struct ContainerSpec: Sendable {
    /// The pod that it belongs to.
    package var pod: PodIdentity
    package var name: String
    /// 0 for the first instance, then one more for each restart.
    package var attempt: Int
    /// The image as the pod's spec names it.
    package var image: String
    /// Overrides the image's entrypoint unless it is empty.
    package var command: [String] = []
    /// Overrides the image's arguments unless it is empty.
    package var arguments: [String] = []
    package var environment: [(name: String, value: String)] = []
    /// Empty for the image's.
    package var workingDirectory = ""
    package var mounts: [ContainerMount] = []
    package var security = ContainerSecurity()
    package var resources = ContainerResources()
    package var stdin = false
    package var stdinOnce = false
    package var tty = false
    /// Whether the output goes to journald as well as to the log file.
    package var logsToJournal = false
    /// A signal's name or number that overrides the image's; nil for the image's or SIGTERM.
    package var stopSignal: String?
    /// The id of the running container whose processes it sees; nil for what its sandbox says.
    package var processTarget: String?
    /// The host's file with the message of a container that ends, and where the container sees it.
    package var terminationMessage: (hostPath: String, containerPath: String)?

    package init(pod: PodIdentity, name: String, attempt: Int, image: String) {
        self.pod = pod
        self.name = name
        self.attempt = attempt
        self.image = image
    }
}

/// The names of a pod.
package struct PodIdentity: Hashable, Sendable {
    package var uid: String
    package var name: String
    package var namespace: String

    package init(uid: String, name: String, namespace: String) {
        self.uid = uid
        self.name = name
        self.namespace = namespace
    }
}

/// A directory or file of the host that the container sees.
package struct ContainerMount: Hashable, Sendable {
    /// How mounts made later on one side show on the other (mount_namespaces(7)).
    package enum Propagation: Hashable, Sendable {
        case none, hostToContainer, bidirectional
    }

    package var containerPath: String
    package var hostPath: String
    /// A path inside `hostPath` that is resolved without ever leaving it, however its owner moves symbolic links.
    package var subPath: String?
    package var isReadOnly = false
    package var isRecursivelyReadOnly = false
    package var propagation = Propagation.none

    package init(containerPath: String, hostPath: String, isReadOnly: Bool = false) {
        self.containerPath = containerPath
        self.hostPath = hostPath
        self.isReadOnly = isReadOnly
    }
}

/// What a container may do.
package struct ContainerSecurity: Sendable {
    /// Which system calls are allowed.
    package enum Seccomp: Hashable, Sendable {
        case unconfined
        case runtimeDefault
        /// The bytes of a profile file in the runtime specification's form.
        case localhost([UInt8])
    }

    package var isPrivileged = false
    package var capabilitiesAdded: [String] = []
    package var capabilitiesDropped: [String] = []
    package var allowsPrivilegeEscalation = true
    package var hasReadOnlyRoot = false
    package var seccomp = Seccomp.unconfined
    /// The loaded AppArmor profile that it runs under; nil for none of its own.
    package var appArmorProfile: String?
    package var runAsUser: UInt32?
    package var runAsGroup: UInt32?
    package var requiresNonRoot = false
    package var supplementalGroups: [UInt32] = []
    /// Whether groups of the image's /etc/group count as well (supplementalGroupsPolicy Merge).
    package var mergesImageGroups = true
    /// Whether paths below /proc stay visible (procMount Unmasked).
    package var unmasksProc = false

    package init() {}
}

/// What a container may use.
package struct ContainerResources: Hashable, Sendable {
    /// cgroup v1 shares, 2...262144.
    package var cpuShares: UInt64?
    /// Microseconds of CPU time per period.
    package var cpuQuota: Int64?
    /// Microseconds.
    package var cpuPeriod: UInt64?
    /// Bytes.
    package var memoryLimit: Int64?
    /// Processes; nil for no limit.
    package var pidsLimit: Int64?
    /// -1000...1000
    package var oomScoreAdjustment = 0
    /// Bytes by page size (`2MB`).
    package var hugepageLimits: [String: UInt64] = [:]

    package init() {}

    /// What of it can change while the container runs.
    package var limits: ContainerLimits {
        ContainerLimits(cpuShares: cpuShares, cpuQuota: cpuQuota, cpuPeriod: cpuPeriod, memory: memoryLimit)
    }
}
