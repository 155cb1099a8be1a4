// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
package import PodRuntime

/// Turns requests and limits into cgroup settings (upstream: kuberuntime and cm helpers).
package enum ResourceSettings {
    private static let minimumShares: UInt64 = 2
    private static let maximumShares: UInt64 = 262_144
    /// Microseconds.
    private static let quotaPeriod: UInt64 = 100_000
    private static let minimumQuota: Int64 = 1000
    /// The groups of pods by their quality of service, beside those of the guaranteed ones.
    static let burstableParent = "/kubepods/burstable"
    static let bestEffortParent = "/kubepods/besteffort"

    /// Shares for thousandths of a CPU.
    package static func shares(milliCPU: Int64) -> UInt64 {
        if milliCPU <= 0 { return minimumShares }
        return min(maximumShares, max(minimumShares, UInt64(milliCPU) * 1024 / 1000))
    }

    /// A container's settings.
    ///
    /// - Parameter nodeMemory: The node's memory in bytes, for the OOM score of burstable pods.
    package static func container(_ container: PodContainer, pod: Pod, nodeMemory: Int64) -> ContainerResources {
        var result = ContainerResources()
        let requests = container.resources["requests"]
        let limits = container.resources["limits"]
        let changeable = self.limits(of: container)
        result.cpuShares = changeable.cpuShares
        result.cpuQuota = changeable.cpuQuota
        result.cpuPeriod = changeable.cpuPeriod
        result.memoryLimit = changeable.memory
        let request = ResourceAmount.units(requests?["memory"]) ?? ResourceAmount.units(limits?["memory"]) ?? 0
        result.oomScoreAdjustment = oomScore(pod, memoryRequest: request, nodeMemory: nodeMemory)
        for (name, amount) in limits?.members ?? [:] where name.hasPrefix("hugepages-") {
            if let bytes = ResourceAmount.units(amount) {
                result.hugepageLimits[pageSize(name)] = UInt64(max(0, bytes))
            }
        }
        return result
    }

    /// What a container's cgroup is to allow, as far as it can change while the container runs.
    package static func limits(of container: PodContainer) -> ContainerLimits {
        let limits = container.resources["limits"]
        let cpuLimit = ResourceAmount.milli(limits?["cpu"])
        // A limit without a request counts as the request; the API defaults it so too.
        let request = ResourceAmount.milli(container.resources["requests"]?["cpu"]) ?? cpuLimit ?? 0
        var result = ContainerLimits(cpuShares: shares(milliCPU: request))
        if let cpuLimit, cpuLimit > 0 {
            result.cpuQuota = quota(milliCPU: cpuLimit)
            result.cpuPeriod = quotaPeriod
        }
        if let memory = ResourceAmount.units(limits?["memory"]), memory > 0 { result.memory = memory }
        return result
    }

    /// A container's `resources` as they are in force: what the node has granted, but for what its cgroup says otherwise
    /// (upstream: convertContainerStatusResources).
    ///
    /// - Parameter inForce: What the cgroup allows; nil where that is not known.
    static func resources(of container: PodContainer, inForce: ContainerLimits?) -> JSON {
        var result = container.requirements
        let granted = limits(of: container)
        guard let inForce, inForce != granted else { return result }
        if let shares = inForce.cpuShares, shares != granted.cpuShares, shares > minimumShares {
            result["requests", "cpu"] = .string("\(Quantity(milli: Int((shares * 1000 + 1023) / 1024)))")
        }
        if inForce.cpuQuota != granted.cpuQuota {
            result["limits", "cpu"] = inForce.cpuQuota.map { quota in
                let milli = quota * 1000 / Int64(max(1, inForce.cpuPeriod ?? quotaPeriod))
                return .string("\(Quantity(milli: Int(milli)))")
            }
        }
        if inForce.memory != granted.memory {
            result["limits", "memory"] = inForce.memory.map { .string("\(Quantity(Int($0), format: .binarySI))") }
        }
        return result
    }

    /// Microseconds of CPU time per period for thousandths of a CPU.
    private static func quota(milliCPU: Int64) -> Int64 { max(minimumQuota, milliCPU * Int64(quotaPeriod) / 1000) }

    /// `hugepages-2Mi` as the kernel's cgroup names it, `2MB`.
    private static func pageSize(_ name: String) -> String {
        String(name.dropFirst("hugepages-".count)).replacing("Ki", with: "KB").replacing("Mi", with: "MB")
            .replacing("Gi", with: "GB")
    }

    /// How readily the kernel kills the container (upstream: qos.GetContainerOOMScoreAdjust).
    private static func oomScore(_ pod: Pod, memoryRequest: Int64, nodeMemory: Int64) -> Int {
        let isCritical = pod.spec["priority"]?.int ?? 0 >= 2_000_000_000
        if isCritical { return -997 }
        switch pod.qosClass {
        case .guaranteed: return -997
        case .bestEffort: return 1000
        case .burstable:
            let score = 1000 - Int(1000 * memoryRequest / max(1, nodeMemory))
            return min(999, max(3, score))
        }
    }

    /// The pod's own group: its place by quality of service, and its limits: those that it states as a whole, or of memory what
    /// those that run at one time have where all have one. Microseconds of CPU time per 100 ms, and bytes.
    package static func pod(
        _ pod: Pod
    ) -> (parent: String, cpuShares: UInt64, cpuQuota: Int64?, memoryLimit: Int64?) {
        let parent: String
        switch pod.qosClass {
        case .guaranteed: parent = "/kubepods"
        case .burstable: parent = burstableParent
        case .bestEffort: parent = bestEffortParent
        }
        // One container without a limit makes the sum of the others' meaningless.
        let memoryLimits = (pod.initContainers + pod.containers).map {
            ResourceAmount.units($0.resources["limits"]?["memory"]) ?? 0
        }
        var memory: Int64?
        if memoryLimits.allSatisfy({ $0 > 0 }) {
            memory = pod.peak { ResourceAmount.units($0.resources["limits"]?["memory"]) ?? 0 }
        }
        var ownLimit: Int64?
        if let own = pod.ownResources {
            let limits = own["limits"]
            ownLimit = ResourceAmount.milli(limits?["cpu"]).flatMap { $0 > 0 ? $0 : nil }
            memory = ResourceAmount.units(limits?["memory"]) ?? memory
        }
        // What the pod costs beside its containers counts on top (upstream: ResourceConfigForPod).
        let overhead = pod.spec["overhead"]
        let extra = ResourceAmount.milli(overhead?["cpu"]) ?? 0
        if let limit = memory { memory = limit + (ResourceAmount.units(overhead?["memory"]) ?? 0) }
        return (parent, shares(milliCPU: pod.request("cpu")), ownLimit.map { quota(milliCPU: $0 + extra) }, memory)
    }
}
