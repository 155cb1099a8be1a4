// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// The control groups of pods, on cgroup v2 or on v1's separate hierarchies. Paths are below the hierarchies' root.
package struct CgroupTree: Sendable {
    /// Where v1 hierarchies are mounted, by controller; empty on v2.
    private let hierarchies: [String: String]
    /// Whether there is only the unified hierarchy.
    package let isUnified: Bool
    /// Whether groups are killed as a whole for lack of memory when they ask for it: v2 with its controller for memory.
    let canKillTogether: Bool
    private static let root = "/sys/fs/cgroup"
    private static let unifiedMagic: UInt32 = 0x6367_7270

    /// Looks at what is mounted.
    package init() throws(SystemError) {
        isUnified = try Mounting.fileSystemType(of: Self.root) == Self.unifiedMagic
        if isUnified {
            hierarchies = [:]
            canKillTogether = try Files.readText("\(Self.root)/cgroup.controllers").split(separator: " ").contains(
                "memory")
            return
        }
        canKillTogether = false
        var found: [String: String] = [:]
        for mount in try MountInfo.current() where mount.type == "cgroup" {
            for option in mount.superOptions.split(separator: ",") where found[String(option)] == nil {
                found[String(option)] = mount.mountPoint
            }
        }
        hierarchies = found
    }

    /// The directory of a group for a controller; nil where the kernel or the system has none.
    package func directory(_ path: String, controller: String) -> String? {
        if isUnified { return "\(Self.root)\(path)" }
        return hierarchies[controller].map { "\($0)\(path)" }
    }

    /// All directories that a group consists of.
    private func directories(_ path: String) -> [String] {
        isUnified ? ["\(Self.root)\(path)"] : Set(hierarchies.values).map { "\($0)\(path)" }
    }

    /// Makes a group, and the ones above it, for what its members need; limits of zero or nil are left alone.
    package func makePodGroup(_ path: String, _ limits: PodLimits) throws {
        if isUnified { try enableControllers(above: path) }
        for directory in directories(path) { try Files.makeDirectories(directory) }
        if let cpuShares = limits.cpuShares {
            if isUnified {
                try set(path, "cpu", "cpu.weight", "\(Self.weight(shares: cpuShares))")
            } else {
                try set(path, "cpu", "cpu.shares", "\(cpuShares)")
            }
        }
        if let quota = limits.cpuQuota, quota > 0 {
            // The period of 100 ms is the kernel's default.
            try set(path, "cpu", isUnified ? "cpu.max" : "cpu.cfs_quota_us", "\(quota)")
        }
        if let memoryLimit = limits.memory, memoryLimit > 0 {
            try set(path, "memory", isUnified ? "memory.max" : "memory.limit_in_bytes", "\(memoryLimit)")
        }
        if let pidsLimit = limits.processes, pidsLimit > 0 { try set(path, "pids", "pids.max", "\(pidsLimit)") }
    }

    /// Changes the limits of a pod's group; nil for no limit of memory or processes. A group that is not there, because its
    /// scope has no process now, is left so.
    package func limit(_ path: String, to limits: PodLimits) throws {
        guard let directory = directory(path, controller: "memory"), Files.exists(directory) else { return }
        let memory = limits.memory.map { "\($0)" } ?? (isUnified ? "max" : "-1")
        var others = limits
        others.memory = nil
        try makePodGroup(path, others)
        try set(path, "memory", isUnified ? "memory.max" : "memory.limit_in_bytes", memory)
    }

    private func set(_ path: String, _ controller: String, _ file: String, _ value: String) throws {
        guard let directory = directory(path, controller: controller) else { return }
        try Files.write(value, to: "\(directory)/\(file)")
    }

    /// The cgroup v2 weight that corresponds to v1 shares (KEP-2254).
    static func weight(shares: UInt64) -> UInt64 { shares < 2 ? 1 : 1 + (shares - 2) * 9999 / 262142 }

    private func enableControllers(above path: String) throws {
        var current = Self.root
        for part in path.split(separator: "/") {
            let available = try Files.readText("\(current)/cgroup.controllers").split(separator: " ")
            let wanted = available.filter { ["cpu", "memory", "pids", "io", "cpuset", "hugetlb"].contains($0) }
            if !wanted.isEmpty {
                let line = wanted.map { "+\($0)" }.joined(separator: " ")
                // A group with processes of its own cannot pass controllers on; those above the pods' root have none.
                try Files.write(line, to: "\(current)/cgroup.subtree_control")
            }
            current += "/\(part)"
            try Files.makeDirectories(current)
        }
    }

    /// Removes a group with the groups in it; they have no processes any more.
    package func remove(_ path: String) throws(SystemError) {
        for directory in directories(path) { try removeDirectory(directory, depth: 0) }
    }

    private func removeDirectory(_ path: String, depth: Int) throws(SystemError) {
        guard depth < 8, try Files.status(path) != nil else { return }
        for name in try Files.names(in: path) {
            let child = "\(path)/\(name)"
            if try Files.status(child)?.kind == .directory { try removeDirectory(child, depth: depth + 1) }
        }
        try Files.removeDirectory(path)
    }

    /// The processes in a group and the groups in it.
    package func processes(_ path: String) throws(SystemError) -> [Int32] {
        guard let directory = directory(path, controller: "pids") ?? directory(path, controller: "memory") else {
            return []
        }
        return try processes(in: directory, depth: 0)
    }

    private func processes(in directory: String, depth: Int) throws(SystemError) -> [Int32] {
        guard depth < 8, try Files.status(directory) != nil else { return [] }
        var found = try Files.readText("\(directory)/cgroup.procs").split(separator: "\n").compactMap { Int32($0) }
        for name in try Files.names(in: directory) {
            let child = "\(directory)/\(name)"
            if try Files.status(child)?.kind == .directory { found += try processes(in: child, depth: depth + 1) }
        }
        return found
    }

    /// How often the kernel killed a process of the group for lack of memory.
    package func outOfMemoryKills(_ path: String) -> Int {
        guard let directory = directory(path, controller: "memory") else { return 0 }
        let file = isUnified ? "memory.events" : "memory.oom_control"
        // The group may be gone already: then nothing is known of it.
        guard let text = try? Files.readText("\(directory)/\(file)") else { return 0 }
        for line in text.split(separator: "\n") where line.hasPrefix("oom_kill ") {
            return Int(line.dropFirst("oom_kill ".count)) ?? 0
        }
        return 0
    }
}

/// What a group has used.
package struct CgroupUsage: Hashable, Sendable {
    /// Nanoseconds of CPU time.
    package var cpuNanoseconds: UInt64 = 0
    /// Bytes.
    package var memory: UInt64 = 0
    /// Bytes without what the kernel can drop at once.
    package var workingSet: UInt64 = 0
    package var resident: UInt64 = 0
    package var processes: UInt64 = 0

    /// Takes the whole machine's memory from a proc_meminfo(5), as a group's would be counted: anonymous memory and files, of
    /// which the kernel can drop the inactive ones (runc: rootStatsFromMeminfo).
    mutating func setMemory(meminfo: String) {
        var bytes: [Substring: UInt64] = [:]
        for line in meminfo.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            if words.count >= 2 { bytes[words[0].dropLast()] = UInt64(words[1]).map { $0 * 1024 } }
        }
        resident = bytes["AnonPages", default: 0]
        memory = ["Cached", "Buffers", "SwapCached"].reduce(resident) { $0 + bytes[$1, default: 0] }
        workingSet = memory - min(memory, bytes["Inactive(file)", default: 0])
    }
}

extension CgroupTree {
    /// Reads a group's use; what cannot be read is 0.
    package func usage(_ path: String) -> CgroupUsage {
        var usage = CgroupUsage()
        let number = { (controller: String, file: String) -> UInt64 in
            guard let directory = directory(path, controller: controller) else { return 0 }
            // A group that is just going away has no numbers.
            return (try? Files.readText("\(directory)/\(file)")).flatMap { UInt64($0) } ?? 0
        }
        let field = { (controller: String, file: String, name: String) -> UInt64 in
            guard let directory = directory(path, controller: controller),
                // As above.
                let text = try? Files.readText("\(directory)/\(file)")
            else { return 0 }
            let line = text.split(separator: "\n").first { $0.hasPrefix("\(name) ") }
            return line.flatMap { UInt64($0.dropFirst(name.count + 1)) } ?? 0
        }
        if isUnified {
            usage.cpuNanoseconds = field("cpu", "cpu.stat", "usage_usec") * 1000
            // The kernel counts no memory for the root of all groups.
            if path == "/", let text = try? Files.readText("/proc/meminfo"),
                !Files.exists("\(Self.root)/memory.current")
            {
                usage.setMemory(meminfo: text)
                return usage
            }
            usage.memory = number("memory", "memory.current")
            usage.resident = field("memory", "memory.stat", "anon")
        } else {
            usage.cpuNanoseconds = number("cpuacct", "cpuacct.usage")
            usage.memory = number("memory", "memory.usage_in_bytes")
            usage.resident = field("memory", "memory.stat", "total_rss")
        }
        let inactive = field("memory", "memory.stat", isUnified ? "inactive_file" : "total_inactive_file")
        usage.workingSet = usage.memory > inactive ? usage.memory - inactive : 0
        usage.processes = number("pids", "pids.current")
        return usage
    }
}
