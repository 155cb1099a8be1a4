// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

extension Board {
    /// Controllers without which containers cannot be kept within their limits.
    private static let required = ["memory", "cpu", "pids"]
    /// Controllers that few containers need.
    private static let wanted = ["cpuset", "io"]

    /// Whether the controllers are there, and what brings them back.
    func cgroupFindings() -> [Finding] {
        guard let controllers = controllers() else {
            return [
                Finding(
                    "CgroupsMissing", .kernel, .error, "No cgroup file system is mounted at /sys/fs/cgroup",
                    why: "Containers are held and limited by cgroups.",
                    remedy: "Mount it: mount -t cgroup2 none /sys/fs/cgroup (systemd does so by itself)")
            ]
        }
        var findings: [Finding] = []
        if !controllers.contains("memory") { findings.append(memoryDisabled()) }
        for name in Self.required + Self.wanted where name != "memory" && !controllers.contains(name) {
            let isRequired = Self.required.contains(name)
            findings.append(
                Finding(
                    "CgroupControllerMissing", .kernel, isRequired ? .error : .warning,
                    "The cgroup controller \(name) is not available",
                    why: "Limits that need it would not hold.",
                    remedy:
                        "Remove cgroup_disable=\(name) from the kernel's command line, or use a kernel built with it, "
                        + "and reboot"))
        }
        if findings.isEmpty {
            let version = isUnified ? "v2" : "v1"
            findings.append(
                Finding(
                    "CgroupsReady", .kernel, .ok,
                    "cgroup \(version) with \(controllers.sorted().joined(separator: ", "))"))
        }
        return findings
    }

    private var isUnified: Bool { exists("/sys/fs/cgroup/cgroup.controllers") }

    /// The controllers that can be used, in the names of v2; nil where no hierarchy is mounted.
    private func controllers() -> Set<String>? {
        if let unified = text("/sys/fs/cgroup/cgroup.controllers") {
            return Set(unified.split(whereSeparator: \.isWhitespace).map(String.init))
        }
        let mounts = MountInfo.parse(text("/proc/self/mountinfo") ?? "")
        let hierarchies = Cgroups(mounts: mounts).hierarchies
        guard !hierarchies.isEmpty else { return nil }
        return Set(hierarchies.flatMap(\.controllers).map { $0 == "blkio" ? "io" : $0 })
    }

    private func memoryDisabled() -> Finding {
        let line = KernelCommandLine.locate(in: self)
        let (remedy, fix) = line.remedy(adding: KernelCommandLine.memoryWords)
        return Finding(
            "MemoryCgroupDisabled", .kernel, .error, "The kernel runs without the memory cgroup",
            why:
                "Memory limits could not be held, and one container could take the whole board down. The firmware of a "
                + "Raspberry Pi switches it off.",
            remedy: remedy, fix: fix)
    }
}
