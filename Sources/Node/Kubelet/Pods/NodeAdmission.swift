// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Checks of the node itself before it runs a pod, beside those of the scheduler; no I/O.
struct NodeAdmission {
    let configuration: KubeletConfiguration
    let machine: MachineFacts
    /// What others have given the node and pods may use, in units.
    var extended: [String: Int64] = [:]
    /// Whether the kernel enforces AppArmor's profiles.
    var hasAppArmor = false

    /// Something of which the node has too little for a pod.
    struct Shortage: Hashable {
        let resource: String
        let requested: Int64
        let used: Int64
        let capacity: Int64

        /// How much of it would have to become free.
        var missing: Int64 { requested - (capacity - used) }

        var refusal: PodRefusal {
            PodRefusal(
                reason: "OutOf\(resource)",
                message: "Node didn't have enough resource: \(resource), requested: \(requested), "
                    + "used: \(used), capacity: \(capacity)")
        }
    }

    /// What the node says to a pod.
    enum Verdict: Hashable {
        case admitted
        case refused(PodRefusal)
        /// Once these pods have ended.
        case admittedAfter([Pod])
    }

    private static let system = "linux"

    /// Sysctls that concern only the pod (upstream: sysctl.SafeSysctlAllowlist).
    private static let safeSysctls: Set<String> = [
        "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem",
    ]

    func refusal(of pod: Pod, others: [Pod]) -> PodRefusal? {
        otherSystem(pod) ?? forbiddenSysctl(pod) ?? unconfinable(pod) ?? shortages(pod, others).first?.refusal
            ?? takenPort(pod, others)
    }

    /// Whether the node takes a pod. One that the cluster cannot do without is not refused for want of resources as long as other
    /// pods can go for it (upstream: pkg/kubelet/preemption).
    func verdict(on pod: Pod, others: [Pod]) -> Verdict {
        guard let refusal = refusal(of: pod, others: others) else { return .admitted }
        let shortages = shortages(pod, others)
        guard pod.isCritical, !shortages.isEmpty else { return .refused(refusal) }
        if let other = otherSystem(pod) ?? forbiddenSysctl(pod) ?? unconfinable(pod) ?? takenPort(pod, others) {
            return .refused(other)
        }
        guard let victims = CriticalPreemption(shortages: shortages).victims(for: pod, among: others) else {
            return .refused(CriticalPreemption.refusal(shortages))
        }
        return .admittedAfter(victims)
    }

    /// What the pod says of its operating system (upstream: lifecycle.PredicateAdmitHandler).
    private func otherSystem(_ pod: Pod) -> PodRefusal? {
        if let label = pod.object.labels["kubernetes.io/os"], label != Self.system {
            return PodRefusal(
                reason: "PodOSSelectorNodeLabelDoesNotMatch",
                message: "Failed to admit pod as the `kubernetes.io/os` label doesn't match node "
                    + "label")
        }
        if let name = pod.spec["os"]?["name"]?.string, name != Self.system {
            return PodRefusal(
                reason: "PodOSNotSupported",
                message: "Failed to admit pod as the OS field doesn't match node OS")
        }
        return nil
    }

    /// Why a pod that was bound past the scheduler does not belong on the node; nil if it does.
    static func affinityRefusal(of pod: Pod, on node: KubeObject) -> PodRefusal? {
        let labels = node.labels
        let isSelected = (pod.spec["nodeSelector"]?.stringMap ?? [:]).allSatisfy { labels[$0.key] == $0.value }
        let required = pod.spec["affinity"]?["nodeAffinity"]?["requiredDuringSchedulingIgnoredDuringExecution"]
        let hasAffinity = required.map { $0.isNull || NodeSelector($0).matches(node) } ?? true
        if isSelected && hasAffinity { return nil }
        return PodRefusal(
            reason: "NodeAffinity",
            message: "Predicate NodeAffinity failed: node(s) didn't match Pod's node "
                + "affinity/selector")
    }

    private func forbiddenSysctl(_ pod: Pod) -> PodRefusal? {
        for sysctl in pod.securityContext["sysctls"]?.elements ?? [] {
            let name = (sysctl["name"]?.string ?? "").replacing("/", with: ".")
            let isAllowed =
                Self.safeSysctls.contains(name)
                || configuration.allowedUnsafeSysctls.contains { pattern in
                    pattern.hasSuffix("*") ? name.hasPrefix(pattern.dropLast()) : name == pattern
                }
            if !isAllowed {
                return PodRefusal(
                    reason: "SysctlForbidden",
                    message: "forbidden sysctl: \"\(name)\" not allowlisted")
            }
        }
        return nil
    }

    /// What AppArmor cannot do for a pod that has not run yet (upstream: lifecycle.NewAppArmorAdmitHandler).
    private func unconfinable(_ pod: Pod) -> PodRefusal? {
        guard pod.phase.isEmpty || pod.phase == "Pending" else { return nil }
        return AppArmorProfile.problem(of: pod, isEnabled: hasAppArmor).map { problem in
            PodRefusal(reason: "AppArmor", message: "Cannot enforce AppArmor: \(problem)")
        }
    }

    /// What the node has too little of for the pod beside the others.
    func shortages(_ pod: Pod, _ others: [Pod]) -> [Shortage] {
        var result: [Shortage] = []
        if others.count + 1 > configuration.maxPods {
            result.append(
                Shortage(
                    resource: "pods", requested: 1, used: Int64(others.count), capacity: Int64(configuration.maxPods)))
        }
        let given = extended.sorted { $0.key < $1.key }.map { (name: $0.key, capacity: $0.value) }
        for (name, capacity) in allocatable + given {
            let requested = pod.request(name)
            let used = others.reduce(Int64(0)) { $0 + $1.request(name) }
            if requested > 0, used + requested > capacity {
                result.append(Shortage(resource: name, requested: requested, used: used, capacity: capacity))
            }
        }
        return result
    }

    /// Thousandths of CPU and bytes of memory that pods may have.
    private var allocatable: [(name: String, capacity: Int64)] {
        [
            ("cpu", Int64(machine.cpus) * 1000 - configuration.reservedMilliCPU),
            ("memory", machine.memory - configuration.reservedMemory),
        ]
    }

    /// Why a pod that runs here does not get the resources that its spec now asks for; nil if it gets them (upstream:
    /// canResizePod).
    ///
    /// - Parameter others: The node's other pods with what they have been granted.
    func pendingResize(of pod: Pod, others: [Pod]) -> PendingResize? {
        if pod.isStatic { return PendingResize(.infeasible, "In-place resize of static-pods is not supported") }
        for (name, capacity) in allocatable.reversed() where pod.request(name) > capacity {
            return PendingResize(
                .infeasible,
                "Node didn't have enough capacity: \(name), requested: \(pod.request(name)), capacity: \(capacity)")
        }
        guard let shortage = shortages(pod, others).first else { return nil }
        return PendingResize(.deferred, shortage.refusal.message)
    }

    private func takenPort(_ pod: Pod, _ others: [Pod]) -> PodRefusal? {
        let mine = pod.claimedPorts
        guard !mine.isEmpty else { return nil }
        let taken = others.flatMap(\.claimedPorts)
        let conflicts = mine.contains { port in
            taken.contains { other in
                port.number == other.number && port.transport == other.transport
                    && (port.address == other.address || port.address == "0.0.0.0" || other.address == "0.0.0.0")
            }
        }
        return conflicts
            ? PodRefusal(
                reason: "NodePorts",
                message: "Predicate NodePorts failed: node(s) didn't have free "
                    + "ports for the requested pod ports") : nil
    }
}

extension Pod {
    /// What the pod requests as a whole: its main containers and sidecars, or its largest init container if that is
    /// more. Thousandths for `cpu`, else units.
    package func request(_ resource: String) -> Int64 {
        let overhead = spec["overhead"]?[resource]
        let extra = (resource == "cpu" ? ResourceAmount.milli(overhead) : ResourceAmount.units(overhead)) ?? 0
        let whole = ownResources.flatMap { $0["requests"]?[resource] ?? $0["limits"]?[resource] }
        let own = resource == "cpu" ? ResourceAmount.milli(whole) : ResourceAmount.units(whole)
        if let own { return own + extra }
        let containers = peak { container in
            let request = container.resources["requests"]?[resource] ?? container.resources["limits"]?[resource]
            return (resource == "cpu" ? ResourceAmount.milli(request) : ResourceAmount.units(request)) ?? 0
        }
        return containers + extra
    }

    /// The most that containers which run at one time take together: an init container runs beside the sidecars before it, and the
    /// main containers beside all of them (upstream: AggregateContainerRequests, AggregateContainerLimits).
    func peak(of amount: (PodContainer) -> Int64) -> Int64 {
        var sidecars: Int64 = 0
        var largest: Int64 = 0
        for container in initContainers {
            if container.kind == .sidecar {
                sidecars += amount(container)
                largest = max(largest, sidecars)
            } else {
                largest = max(largest, sidecars + amount(container))
            }
        }
        return max(largest, containers.reduce(sidecars) { $0 + amount($1) })
    }

    fileprivate var claimedPorts: [(number: Int, transport: String, address: String)] {
        containers.flatMap(\.ports).compactMap { port in
            guard let number = port["hostPort"]?.int, number > 0 else { return nil }
            let address = port["hostIP"]?.string ?? ""
            return (number, port["protocol"]?.string ?? "TCP", address.isEmpty ? "0.0.0.0" : address)
        }
    }
}
