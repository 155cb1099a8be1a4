// SPDX-License-Identifier: Apache-2.0

import JSON

/// What a container's cgroup allows, as far as it can change while the container runs; nil for no limit.
package struct ContainerLimits: Hashable, Sendable {
    /// cgroup v1 shares, 2...262144.
    package var cpuShares: UInt64?
    /// Microseconds of CPU time per period.
    package var cpuQuota: Int64?
    /// Microseconds.
    package var cpuPeriod: UInt64?
    /// Bytes.
    package var memory: Int64?

    package init(
        cpuShares: UInt64? = nil, cpuQuota: Int64? = nil, cpuPeriod: UInt64? = nil, memory: Int64? = nil
    ) {
        self.cpuShares = cpuShares
        self.cpuQuota = cpuQuota
        self.cpuPeriod = cpuPeriod
        self.memory = memory
    }

    init(json: JSON) {
        cpuShares = json["cpuShares"]?.int.flatMap { UInt64(exactly: $0) }
        cpuQuota = json["cpuQuota"]?.int.map(Int64.init)
        cpuPeriod = json["cpuPeriod"]?.int.flatMap { UInt64(exactly: $0) }
        memory = json["memory"]?.int.map(Int64.init)
    }

    var json: JSON {
        var result = JSON.object([:])
        if let cpuShares { result["cpuShares"] = .int(Int64(clamping: cpuShares)) }
        if let cpuQuota { result["cpuQuota"] = .int(cpuQuota) }
        if let cpuPeriod { result["cpuPeriod"] = .int(Int64(clamping: cpuPeriod)) }
        if let memory { result["memory"] = .int(memory) }
        return result
    }

    /// Options of the launcher's `update` that bring these limits about from others; a limit that goes is lifted.
    func updateOptions(from old: ContainerLimits?) -> [String] {
        var options: [String] = []
        if let cpuShares { options.append("--cpu-shares=\(cpuShares)") }
        if let cpuQuota, let cpuPeriod {
            options += ["--cpu-period=\(cpuPeriod)", "--cpu-quota=\(cpuQuota)"]
        } else if old?.cpuQuota != nil {
            options.append("--cpu-quota=-1")
        }
        if let memory {
            // No swap beyond the limit, as at the container's start.
            options += ["--memory=\(memory)", "--memory-swap=\(memory)"]
        } else if old?.memory != nil {
            options += ["--memory=-1", "--memory-swap=-1"]
        }
        return options
    }
}
