// SPDX-License-Identifier: Apache-2.0

/// What a pod's sandbox is to be.
package struct SandboxSpec: Hashable, Sendable {
    /// A port of the host that leads to the pod.
    package struct HostPort: Hashable, Sendable {
        package enum TransportProtocol: String, Sendable { case tcp, udp, sctp }

        package var transport: TransportProtocol
        /// Empty for every address of the host.
        package var hostAddress: String
        package var hostPort: UInt16
        package var containerPort: UInt16

        package init(transport: TransportProtocol, hostAddress: String, hostPort: UInt16, containerPort: UInt16) {
            self.transport = transport
            self.hostAddress = hostAddress
            self.hostPort = hostPort
            self.containerPort = containerPort
        }
    }

    package var pod: PodIdentity
    package var hostname: String
    package var usesHostNetwork = false
    package var usesHostProcesses = false
    package var usesHostIPC = false
    package var sharesProcesses = false
    package var hostPorts: [HostPort] = []
    /// Kernel parameters of the pod's namespaces.
    package var sysctls: [String: String] = [:]
    /// The pod's place below the cgroup root, `/kubepods/burstable`.
    package var cgroupParent = "/kubepods"
    package var cpuShares: UInt64?
    /// Microseconds of CPU time in 100 ms; nil for no limit.
    package var cpuQuota: Int64?
    /// Bytes.
    package var memoryLimit: Int64?

    package init(pod: PodIdentity, hostname: String) {
        self.pod = pod
        self.hostname = hostname
    }
}
