// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Writes the limits of a configuration to the files of a container's cgroup (config-linux.md, "Control groups").
///
/// A limit for which the kernel has no controller is an error: a container that believes to be limited and is not would
/// be worse.
struct CgroupResources {
    let cgroups: Cgroups
    let group: String

    /// Applies all limits that are given; the others stay as they are.
    func apply(_ resources: RuntimeSpec.Resources) throws(LauncherError) {
        do {
            if let memory = resources.memory { try apply(memory) }
            if let cpu = resources.cpu { try apply(cpu) }
            if let pids = resources.pids { try apply(pids) }
            if let blockIO = resources.blockIO { try apply(blockIO) }
            for limit in resources.hugepageLimits { try apply(limit) }
            if let network = resources.network { try apply(network) }
            if cgroups.isUnified {
                for (file, value) in resources.unified.sorted(by: { $0.key < $1.key }) {
                    try write(value, Self.checked(file), controller: String(file.prefix { $0 != "." }))
                }
            } else if !resources.unified.isEmpty {
                throw LauncherError("linux.resources.unified needs cgroup v2, and this machine has v1")
            }
        } catch let error as LauncherError {
            throw error
        } catch {
            throw LauncherError("setting the limits of cgroup \(group)", error)
        }
    }

    private static func checked(_ file: String) throws(LauncherError) -> String {
        guard !file.contains("/"), file.contains(".") else {
            throw LauncherError("linux.resources.unified: \"\(file)\" is no cgroup file")
        }
        return file
    }

    private func path(_ file: String, controller: String) throws(LauncherError) -> String {
        if let directory = cgroups.directory(of: group, controller: controller) {
            let path = "\(directory)/\(file)"
            if !cgroups.isUnified || Files.exists(path) { return path }
        }
        throw LauncherError(
            "the kernel offers no \(controller) limit (\(file)); the \(controller) controller must be enabled, "
                + "for memory with cgroup_enable=memory on the kernel's command line")
    }

    private func write(_ value: some CustomStringConvertible, _ file: String, controller: String) throws {
        try Files.write("\(value)", to: try path(file, controller: controller))
    }

    // MARK: Memory

    private func apply(_ memory: RuntimeSpec.Memory) throws {
        try cgroups.isUnified ? applyUnified(memory) : applyLegacy(memory)
    }

    private func applyUnified(_ memory: RuntimeSpec.Memory) throws {
        func text(_ bytes: Int64) -> String { bytes < 0 ? "max" : "\(bytes)" }
        if memory.checkBeforeUpdate == true, let limit = memory.limit, limit > 0 {
            let used = Int64(try Files.readText(try path("memory.current", controller: "memory"))) ?? 0
            if used > limit { throw LauncherError("the memory limit \(limit) is below the current use \(used)") }
        }
        if let swap = memory.swap {
            // v2 limits swap alone; the configuration gives memory and swap together.
            guard swap < 0 || memory.limit != nil else {
                throw LauncherError("linux.resources.memory.swap needs a limit on cgroup v2")
            }
            let own = swap < 0 ? swap : max(0, swap - max(0, memory.limit ?? 0))
            // Kernels without swap support lack the file; without swap there is nothing to limit.
            if let directory = cgroups.directory(of: group, controller: "memory"),
                Files.exists("\(directory)/memory.swap.max")
            {
                try write(text(own), "memory.swap.max", controller: "memory")
            }
        }
        if let limit = memory.limit, limit != 0 { try write(text(limit), "memory.max", controller: "memory") }
        if let low = memory.reservation, low != 0 { try write(text(low), "memory.low", controller: "memory") }
    }

    private func applyLegacy(_ memory: RuntimeSpec.Memory) throws {
        let swap = memory.swap.flatMap { $0 == 0 ? nil : $0 }
        if let limit = memory.limit, limit != 0 {
            do {
                try write(limit, "memory.limit_in_bytes", controller: "memory")
                if let swap { try writeSwap(swap) }
            } catch let error as SystemError where error.errno == Errno.EINVAL && swap != nil {
                // The sum must not be below the limit at any time: when both grow, the sum goes first.
                if let swap { try writeSwap(swap) }
                try write(limit, "memory.limit_in_bytes", controller: "memory")
            }
        } else if let swap {
            try writeSwap(swap)
        }
        if let soft = memory.reservation, soft != 0 {
            try write(soft, "memory.soft_limit_in_bytes", controller: "memory")
        }
        if let swappiness = memory.swappiness { try write(swappiness, "memory.swappiness", controller: "memory") }
        if memory.disableOOMKiller == true { try write(1, "memory.oom_control", controller: "memory") }
    }

    private func writeSwap(_ swap: Int64) throws {
        let path = try path("memory.memsw.limit_in_bytes", controller: "memory")
        // Kernels without swap accounting lack the file; without swap there is nothing to limit.
        if Files.exists(path) { try Files.write("\(swap)", to: path) }
    }

    // MARK: CPU

    private func apply(_ cpu: RuntimeSpec.CPU) throws {
        if let cpus = cpu.cpus, !cpus.isEmpty { try write(cpus, "cpuset.cpus", controller: "cpuset") }
        if let mems = cpu.mems, !mems.isEmpty { try write(mems, "cpuset.mems", controller: "cpuset") }
        if let idle = cpu.idle { try write(idle, "cpu.idle", controller: "cpu") }
        try cgroups.isUnified ? applyUnified(cpu) : applyLegacy(cpu)
    }

    private func applyUnified(_ cpu: RuntimeSpec.CPU) throws {
        if let shares = cpu.shares, shares != 0, cpu.idle != 1 {
            try write(Self.weight(shares: shares), "cpu.weight", controller: "cpu")
        }
        if cpu.quota != nil || cpu.period != nil {
            let quota = cpu.quota.flatMap { $0 > 0 ? "\($0)" : nil } ?? "max"
            let period = cpu.period.map { $0 == 0 ? "" : " \($0)" } ?? ""
            try write(quota + period, "cpu.max", controller: "cpu")
        }
        if let burst = cpu.burst { try write(burst, "cpu.max.burst", controller: "cpu") }
    }

    private func applyLegacy(_ cpu: RuntimeSpec.CPU) throws {
        if let shares = cpu.shares, shares != 0 { try write(shares, "cpu.shares", controller: "cpu") }
        if let period = cpu.period, period != 0 { try write(period, "cpu.cfs_period_us", controller: "cpu") }
        if let quota = cpu.quota, quota != 0 { try write(quota, "cpu.cfs_quota_us", controller: "cpu") }
        if let burst = cpu.burst { try write(burst, "cpu.cfs_burst_us", controller: "cpu") }
        if let period = cpu.realtimePeriod, period != 0 { try write(period, "cpu.rt_period_us", controller: "cpu") }
        if let runtime = cpu.realtimeRuntime, runtime != 0 {
            try write(runtime, "cpu.rt_runtime_us", controller: "cpu")
        }
    }

    /// The v2 weight of v1 shares: 2, 1024 and 262144 become 1, 100 and 10000, as in runc 1.3 and crun 1.23.
    static func weight(shares: UInt64) -> Int {
        if shares <= 2 { return 1 }
        if shares >= 262_144 { return 10000 }
        let exponent = Logarithms.base2(Double(shares))
        let power = (exponent * exponent + 125 * exponent) / 612.0 - 7.0 / 34.0
        return Int(Logarithms.powerOf10(power).rounded(.up))
    }

    // MARK: The others

    private func apply(_ pids: RuntimeSpec.Pids) throws {
        if pids.limit == 0 { return }
        try write(pids.limit > 0 ? "\(pids.limit)" : "max", "pids.max", controller: "pids")
    }

    private func apply(_ limit: RuntimeSpec.HugepageLimit) throws {
        let file = cgroups.isUnified ? "hugetlb.\(limit.pageSize).max" : "hugetlb.\(limit.pageSize).limit_in_bytes"
        try write(limit.limit, file, controller: "hugetlb")
    }

    private func apply(_ network: RuntimeSpec.Network) throws {
        if cgroups.isUnified { throw LauncherError("linux.resources.network needs cgroup v1, and this machine has v2") }
        if let classID = network.classID, classID != 0 { try write(classID, "net_cls.classid", controller: "net_cls") }
        for priority in network.priorities {
            try write("\(priority.name) \(priority.priority)", "net_prio.ifpriomap", controller: "net_prio")
        }
    }

    private func apply(_ blockIO: RuntimeSpec.BlockIO) throws {
        let controller = cgroups.isUnified ? "io" : "blkio"
        if let weight = blockIO.weight, weight != 0 {
            let file = cgroups.isUnified ? "io.bfq.weight" : "blkio.bfq.weight"
            let plain = cgroups.isUnified ? "io.weight" : "blkio.weight"
            let hasScheduler = try Files.exists(path(file, controller: controller))
            // io.weight counts 1...10000 where the configuration counts 10...1000.
            let value = cgroups.isUnified && !hasScheduler ? 1 + (Int(weight) - 10) * 9999 / 990 : Int(weight)
            try write(value, hasScheduler ? file : plain, controller: controller)
        }
        for device in blockIO.weightDevice {
            guard let weight = device.weight else { continue }
            let file = cgroups.isUnified ? "io.bfq.weight" : "blkio.bfq.weight_device"
            try write("\(device.major):\(device.minor) \(weight)", file, controller: controller)
        }
        let limits: [([RuntimeSpec.ThrottleDevice], String, String)] = [
            (blockIO.throttleReadBpsDevice, "rbps", "blkio.throttle.read_bps_device"),
            (blockIO.throttleWriteBpsDevice, "wbps", "blkio.throttle.write_bps_device"),
            (blockIO.throttleReadIOPSDevice, "riops", "blkio.throttle.read_iops_device"),
            (blockIO.throttleWriteIOPSDevice, "wiops", "blkio.throttle.write_iops_device"),
        ]
        for (devices, key, file) in limits {
            for device in devices {
                let name = "\(device.major):\(device.minor)"
                if cgroups.isUnified {
                    try write("\(name) \(key)=\(device.rate)", "io.max", controller: controller)
                } else {
                    try write("\(name) \(device.rate)", file, controller: controller)
                }
            }
        }
    }
}
