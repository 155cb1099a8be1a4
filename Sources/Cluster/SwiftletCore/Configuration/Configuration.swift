// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// The agent's configuration, `/etc/swiftlet/config.yaml`. Every field has a default; an unknown field is an error.
///
/// Paths, ports, address ranges, the bridge and the cgroup parent all come from here, so that several nodes can live on
/// one machine, each in its own network namespace.
package struct Configuration: Sendable, Hashable {
    /// The node's name; the host name in lower case by default.
    package var nodeName = ""
    /// Addresses of this node that others reach it by; found out by default.
    package var nodeAddresses: [IPAddress] = []
    package var directories = Directories()
    package var api = API()
    package var kubelet = Kubelet()
    package var network = Network()
    package var certificates = Certificates()
    package var storage = Storage()
    package var images = Images()
    package var log = Log()

    /// Where state lives.
    package struct Directories: Sendable, Hashable {
        /// What must survive a reboot.
        package var state = "/var/lib/swiftlet"
        /// Sockets, pinned namespaces, container state: gone after a reboot.
        package var run = "/run/swiftlet"
        /// Container logs lie in `pods` and `containers` below it.
        package var logs = "/var/log"
        /// `admin.kubeconfig` is written here.
        package var configuration = "/etc/swiftlet"
        /// The launcher and the monitor.
        package var executables = "/usr/libexec/swiftlet"
    }

    package struct API: Sendable, Hashable {
        /// The address listened on; all of them by default.
        package var bindAddress = "0.0.0.0"
        package var port = 16443
        /// Further names and addresses in the serving certificate.
        package var certificateNames: [String] = []
        /// Whether the server is found on the link by multicast DNS.
        package var multicastDNS = true
    }

    package struct Kubelet: Sendable, Hashable {
        package var port = 10250
        package var maxPods = 110
        /// The cgroup below which all pods live.
        package var cgroupRoot = "/swiftlet"
        /// Who makes pods' cgroups.
        package var cgroupDriver = CgroupDriverChoice.auto
        /// Memory that pods cannot have, as a quantity.
        package var reservedMemory = "128Mi"
        /// CPU that pods cannot have, as a quantity.
        package var reservedCPU = "100m"
        /// A directory of manifests of static pods; none by default.
        package var staticPodDirectory = ""
        /// How long pods may take to end before the machine goes down; zero for not waiting.
        package var shutdownGracePeriod = Duration.seconds(30)
        /// The part of it that is kept for critical pods, which end last.
        package var shutdownGracePeriodCriticalPods = Duration.seconds(10)
    }

    /// Who makes pods' cgroups.
    package enum CgroupDriverChoice: String, Sendable, Hashable, CaseIterable {
        /// systemd where it runs the machine, else the agent.
        case auto
        case systemd
        case cgroupfs
    }

    package struct Network: Sendable, Hashable {
        /// Pods' addresses in the whole cluster; dual stack with an IPv6 range after a comma.
        package var clusterCIDR = "10.1.0.0/16"
        /// This node's part of it; the first part where this is empty.
        package var nodeCIDR = ""
        /// The size of the part that each node gets of the IPv6 range.
        package var nodeCIDRMaskSizeIPv6 = 64
        /// Services' addresses; the first is the API's, the tenth the DNS server's.
        package var serviceCIDR = "10.152.0.0/16"
        package var serviceNodePortRange = "30000-32767"
        package var clusterDomain = "cluster.local"
        package var bridge = "swiftlet0"
        /// The nftables table.
        package var table = "swiftlet"
        /// The UDP port of VXLAN, by which nodes beyond a router are reached.
        package var vxlanPort = 4789
    }

    package struct Certificates: Sendable, Hashable {
        /// Minutes for which the cluster's authority issues certificates at most; they are renewed when a quarter is left.
        package var lifetimeMinutes = 525_600
    }

    package struct Storage: Sendable, Hashable {
        /// Minutes between two checkpoints of what is kept in memory (leases and events).
        package var checkpointMinutes = 10
    }

    package struct Images: Sendable, Hashable {
        /// Registries by host, where pulling differs from HTTPS to the host itself.
        package var registries: [String: Registry] = [:]

        package struct Registry: Sendable, Hashable {
            /// Asked in this order, before the registry itself: `http://10.0.0.5:5000`.
            package var mirrors: [String] = []
            /// Plain HTTP is allowed.
            package var insecure = false
            /// A CA bundle in PEM for this registry.
            package var certificateAuthorityFile = ""
        }
    }

    package struct Log: Sendable, Hashable {
        /// `trace`, `debug`, `info`, `notice`, `warning`, `error` or `critical`.
        package var level = "info"
        /// Whether containers' output goes to journald too, unless a pod's annotation says otherwise.
        package var containersToJournal = false
        /// Lines of one container per second, on average, that the journal takes.
        package var journalLinesPerSecond = 100
    }

    package init() {}
}
