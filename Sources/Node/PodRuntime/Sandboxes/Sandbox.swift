// SPDX-License-Identifier: Apache-2.0

/// A pod's sandbox: the namespaces that its containers share, pinned by bind mounts, without a process that holds them
/// unless they share their processes.
package struct Sandbox: Hashable, Sendable {
    /// Where containers find their processes.
    package enum ProcessNamespace: Hashable, Sendable {
        /// Each container has its own.
        case container
        /// The host's.
        case host
        /// All containers share one, which a process of the sandbox's holds.
        case shared
    }

    package var pod: PodIdentity
    package var hostname: String
    /// Nil for the host's.
    package var networkNamespace: String?
    /// Nil for the host's.
    package var ipcNamespace: String?
    /// Nil for the host's.
    package var utsNamespace: String?
    package var processNamespace: ProcessNamespace
    /// The directory that containers see as /dev/shm.
    package var sharedMemoryPath: String
    /// The pod's addresses; empty on the host's network.
    package var addresses: [String]
    /// The pod's cgroup below the hierarchies' root.
    package var cgroupPath: String
    /// What the pod may use as a whole.
    package var limits = PodLimits()
    /// Whether the machine has cgroup v2 only.
    package var isUnified: Bool

    package init(
        pod: PodIdentity, hostname: String, processNamespace: ProcessNamespace, sharedMemoryPath: String,
        addresses: [String], cgroupPath: String, isUnified: Bool
    ) {
        self.pod = pod
        self.hostname = hostname
        self.processNamespace = processNamespace
        self.sharedMemoryPath = sharedMemoryPath
        self.addresses = addresses
        self.cgroupPath = cgroupPath
        self.isUnified = isUnified
    }
}
