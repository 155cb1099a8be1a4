// SPDX-License-Identifier: Apache-2.0

package import JSON

/// How the kubelet works; every path, port and address comes from the agent's configuration.
package struct KubeletConfiguration: Sendable {
    /// The Node object's name.
    package var nodeName: String
    /// The node's host name, for its label and address.
    package var hostname: String
    /// The node's addresses, the first one being the one that the API server uses.
    package var addresses: [String] { nodeAddresses.current }
    /// Holds ``addresses``, which may change while the kubelet runs.
    package let nodeAddresses: NodeAddresses
    /// Where the kubelet's own server listens.
    package var listenAddress = "0.0.0.0"
    package var port = 10250
    /// `/var/lib/swiftlet`: pods' volumes and their last known desired state.
    package var stateDirectory: String
    /// `/run/swiftlet`: volumes that are made of secrets and other objects.
    package var runDirectory: String
    /// The cluster's DNS servers; empty where there is none yet.
    package var clusterDNS: [String] = []
    package var clusterDomain = "cluster.local"
    /// The resolv.conf(5) that pods with `dnsPolicy: Default` get, unless it names only servers of this machine itself.
    package var resolverPath = "/etc/resolv.conf"
    /// The servers behind systemd-resolved's stub, which listens on a loopback address (kubeadm: resolvConf).
    package var resolvedPath = "/run/systemd/resolve/resolv.conf"
    package var maxPods = 110
    /// Bytes that are kept back from pods.
    package var reservedMemory: Int64 = 0
    package var reservedMilliCPU: Int64 = 0
    package var labels: [String: String] = [:]
    package var taints: [JSON] = []
    /// The version that the node reports, `v1.36.0`.
    package var version: String
    /// The version of the runtime that the node reports.
    package var runtimeVersion: String
    /// Sysctls beyond the safe ones that pods may set; a trailing `*` stands for anything.
    package var allowedUnsafeSysctls: [String] = []
    /// Where seccomp profiles of type Localhost lie; `<state>/seccomp` by default.
    package var seccompDirectory: String
    /// Processes that a pod may have; nil for no limit.
    package var podProcessLimit: Int64?

    /// Whether the node makes its Node object, also when somebody has deleted it (upstream: registerNode).
    package var registersNode = true

    /// Whether ConfigMaps, Secrets and tokens of the node's pods are kept on disk, so that the pods can be started after a
    /// reboot while the API is away: for nodes whose API server is another machine.
    package var keepsObjects = false

    /// How long pods may take to end when the machine goes down.
    package var shutdownPeriods = ShutdownPeriods(total: .seconds(30), critical: .seconds(10))

    /// Whether containers' output goes to journald too where the pod does not say.
    package var logsToJournal = false

    /// What is wrong with the machine at the start: told as warnings among the node's events and as its condition `HostProblem`.
    package var hostProblems: [HostProblem] = []

    /// Something that is wrong with the machine, the worst first.
    package struct HostProblem: Sendable, Hashable {
        /// In CamelCase: `UnderVoltage`.
        package var reason: String
        package var message: String

        package init(reason: String, message: String) {
            self.reason = reason
            self.message = message
        }
    }

    package init(
        nodeName: String, hostname: String, addresses: [String], stateDirectory: String, runDirectory: String,
        version: String, runtimeVersion: String
    ) {
        self.nodeName = nodeName
        self.hostname = hostname
        nodeAddresses = NodeAddresses(addresses)
        self.stateDirectory = stateDirectory
        self.runDirectory = runDirectory
        self.version = version
        self.runtimeVersion = runtimeVersion
        seccompDirectory = "\(stateDirectory)/seccomp"
    }

    /// What a pod has on disk.
    func podDirectory(_ uid: String) -> String { "\(stateDirectory)/pods/\(uid)" }
    /// What a pod has in memory.
    func volatilePodDirectory(_ uid: String) -> String { "\(runDirectory)/pods/\(uid)" }
}
