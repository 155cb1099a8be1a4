// SPDX-License-Identifier: Apache-2.0

extension Configuration {
    /// A configuration file with every field, its default and its meaning. A test proves that it is complete and that its
    /// values are the defaults.
    package static let documentedDefaults = """
        # The configuration of the Swiftlet agent. Every field may be left out; an unknown one is an error.

        # The node's name; the host name in lower case where this is empty.
        nodeName: ""
        # Addresses of this node that others reach it by; found out where this is empty.
        nodeAddresses: []

        directories:
          # What must survive a reboot.
          state: /var/lib/swiftlet
          # Sockets, pinned namespaces and containers' state; gone after a reboot.
          run: /run/swiftlet
          # Container logs lie in pods/ and containers/ below it.
          logs: /var/log
          # admin.kubeconfig is written here.
          configuration: /etc/swiftlet
          # The launcher and the monitor.
          executables: /usr/libexec/swiftlet

        api:
          # The address listened on.
          bindAddress: 0.0.0.0
          port: 16443
          # Further names and addresses in the serving certificate.
          certificateNames: []
          # Whether workers that have lost this server find it on the link by multicast DNS (UDP 5353).
          multicastDNS: true

        kubelet:
          port: 10250
          maxPods: 110
          # The cgroup below which all pods live; with the driver systemd the slice of that name, swiftlet.slice.
          cgroupRoot: /swiftlet
          # Who makes pods' cgroups: systemd (a scope for each pod, in slices), cgroupfs (the agent by itself), or auto:
          # systemd where it runs the machine.
          cgroupDriver: auto
          # What pods cannot have of this node.
          reservedMemory: 128Mi
          reservedCPU: 100m
          # A directory of manifests of static pods; none where this is empty.
          staticPodDirectory: ""
          # How long the machine waits for its pods to end when it reboots or is switched off, and the part of that time that
          # is kept for critical pods, which end last. 0s: it waits for none.
          shutdownGracePeriod: 30s
          shutdownGracePeriodCriticalPods: 10s

        network:
          # Pods' addresses in the whole cluster. An IPv6 range after a comma gives every pod a second address (dual stack):
          # 10.1.0.0/16,fd42::/56.
          clusterCIDR: 10.1.0.0/16
          # This node's part of them; the first part where this is empty: 10.1.0.0/24, or 10.1.0.0/24,fd42::/64.
          nodeCIDR: ""
          # The length of the prefix that each node gets of the IPv6 range; the range has at most 16 bits less.
          nodeCIDRMaskSizeIPv6: 64
          # Services' addresses; the first is the API's, the tenth the DNS server's.
          serviceCIDR: 10.152.0.0/16
          serviceNodePortRange: 30000-32767
          clusterDomain: cluster.local
          # The bridge that pods are attached to, and the nftables table.
          bridge: swiftlet0
          table: swiftlet
          # The UDP port of VXLAN, by which nodes beyond a router are reached; the same on all nodes.
          vxlanPort: 4789

        certificates:
          # For how many minutes the cluster's authority issues certificates at most: a year. The agent renews them when a
          # quarter of that is left. On the control plane only.
          lifetimeMinutes: 525600

        storage:
          # Minutes between two checkpoints of what is kept in memory (leases and events).
          checkpointMinutes: 10

        images:
          # Registries by host, where pulling differs from HTTPS to the host itself:
          #   registry.example.com:5000:
          #     mirrors: [http://10.0.0.5:5000]
          #     insecure: true
          #     certificateAuthorityFile: /etc/swiftlet/registry.crt
          registries: {}

        log:
          # trace, debug, info, notice, warning, error or critical.
          level: info
          # Whether containers' output goes to the journal too; a pod's annotation swiftlet.io/log-to-journal, "true" or
          # "false", wins. kubectl logs reads the log files, as ever.
          containersToJournal: false
          # Lines of one container per second that the journal takes on average; the rest is counted and told.
          journalLinesPerSecond: 100

        """
}
