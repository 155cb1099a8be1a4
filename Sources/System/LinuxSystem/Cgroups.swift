// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The cgroup hierarchies of the machine: one unified (cgroup v2), or one for each set of controllers (cgroup v1).
///
/// A *group* is a path below the hierarchies' roots, `/pods/a/b`. Operations on a group act in every hierarchy that
/// counts: on a machine with both versions (hybrid) those are the v1 ones, because v2 has no controllers there.
package struct Cgroups: Sendable, Hashable {
    /// One mounted hierarchy.
    package struct Hierarchy: Sendable, Hashable {
        /// Where it is mounted.
        package let mountPoint: String
        /// The group that is visible there, `/` outside of containers.
        package let root: String
        /// The v1 controllers or the name (`name=systemd`); empty for v2.
        package let controllers: [String]
    }

    /// The hierarchies, in the order of their mounts.
    package let hierarchies: [Hierarchy]
    /// Whether this is cgroup v2.
    package let isUnified: Bool
    /// The mount of cgroup v2 next to v1 hierarchies, which holds no controllers.
    package let hybridUnified: Hierarchy?

    /// Finds the hierarchies among the mounts: the v1 ones if there are any, else v2.
    package init(mounts: [MountInfo]) {
        var v1: [Hierarchy] = []
        var v2: Hierarchy?
        for mount in mounts {
            if mount.type == "cgroup" {
                let controllers = mount.superOptions.split(separator: ",").map(String.init).filter(Self.isController)
                let isKnown = v1.contains { $0.controllers == controllers }
                if !controllers.isEmpty, !isKnown {
                    v1.append(.init(mountPoint: mount.mountPoint, root: mount.root, controllers: controllers))
                }
            } else if mount.type == "cgroup2", v2 == nil {
                v2 = .init(mountPoint: mount.mountPoint, root: mount.root, controllers: [])
            }
        }
        isUnified = v1.isEmpty
        hierarchies = v1.isEmpty ? v2.map { [$0] } ?? [] : v1
        hybridUnified = v1.isEmpty ? nil : v2
    }

    /// Finds the hierarchies that the calling process sees.
    package static func current() throws(SystemError) -> Cgroups {
        // The usual case needs no search: the magic number of cgroup v2 at the usual place.
        let usual = "/sys/fs/cgroup"
        if Files.exists(usual), try Mounting.fileSystemType(of: usual) == 0x6367_7270 {
            return Cgroups(unifiedAt: usual)
        }
        return Cgroups(mounts: try MountInfo.current())
    }

    /// A unified hierarchy mounted at a path.
    package init(unifiedAt path: String) {
        isUnified = true
        hybridUnified = nil
        hierarchies = [.init(mountPoint: path, root: "/", controllers: [])]
    }

    private static func isController(_ option: String) -> Bool {
        // Options of the file system that are no controllers.
        !["rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode", "favordynmods"].contains(option)
            && !option.hasPrefix("release_agent=")
    }

    /// The hierarchy that a controller lives in; on v2 always the one there is.
    package func hierarchy(of controller: String) -> Hierarchy? {
        isUnified ? hierarchies.first : hierarchies.first { $0.controllers.contains(controller) }
    }

    /// The directory of a group for a controller; nil where the machine lacks the controller (v1).
    package func directory(of group: String, controller: String) -> String? {
        hierarchy(of: controller).map { Self.join($0.mountPoint, group) }
    }

    /// The directories of a group in all hierarchies.
    package func directories(of group: String) -> [String] {
        hierarchies.map { Self.join($0.mountPoint, group) }
    }

    static func join(_ mountPoint: String, _ group: String) -> String {
        let trimmed = group.split(separator: "/").joined(separator: "/")
        return trimmed.isEmpty ? mountPoint : "\(mountPoint)/\(trimmed)"
    }

    /// The groups that a process is in by controller (`/proc/PID/cgroup`); the key of v2 is empty.
    package static func membership(_ text: String) -> [String: String] {
        var result: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard fields.count == 3 else { continue }
            for controller in fields[1].split(separator: ",", omittingEmptySubsequences: false) {
                result[String(controller)] = String(fields[2])
            }
        }
        return result
    }

    /// The groups that a process is in, see ``membership(_:)``.
    package static func membership(of pid: Int32? = nil) throws(SystemError) -> [String: String] {
        membership(try Files.readText("/proc/\(pid.map { "\($0)" } ?? "self")/cgroup"))
    }
}

// MARK: - Creating and removing

extension Cgroups {
    /// The v2 controllers that groups are given, as far as the machine has them.
    package static let delegatedControllers = ["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc"]

    /// Makes a group and the missing ones above it; one that exists is no error.
    ///
    /// On v2 the controllers are enabled on the way down. On v1 a new cpuset gets its parent's CPUs and memory nodes,
    /// without which no process could enter it.
    package func create(_ group: String) throws(SystemError) {
        for hierarchy in hierarchies {
            var path = hierarchy.mountPoint
            for name in group.split(separator: "/") {
                if isUnified { try Self.enableControllers(in: path) }
                let parent = path
                path += "/\(name)"
                try Files.makeDirectory(path, mayExist: true)
                if hierarchy.controllers.contains("cpuset") { try Self.inheritCPUSet(path, from: parent) }
            }
        }
    }

    /// Enables what the parent has for the children of a v2 group.
    private static func enableControllers(in directory: String) throws(SystemError) {
        let available = try Files.readText("\(directory)/cgroup.controllers").split(separator: " ").map(String.init)
        let enabled = try Files.readText("\(directory)/cgroup.subtree_control").split(separator: " ").map(String.init)
        let missing = delegatedControllers.filter { available.contains($0) && !enabled.contains($0) }
        if missing.isEmpty { return }
        do {
            try Files.write(missing.map { "+\($0)" }.joined(separator: " "), to: "\(directory)/cgroup.subtree_control")
        } catch {
            // One that cannot be enabled (a group with processes in it, real-time tasks) must not keep the others off.
            for controller in missing {
                do {
                    try Files.write("+\(controller)", to: "\(directory)/cgroup.subtree_control")
                } catch { continue }
            }
        }
    }

    private static func inheritCPUSet(_ directory: String, from parent: String) throws(SystemError) {
        for file in ["cpuset.cpus", "cpuset.mems"] where try Files.readText("\(directory)/\(file)").isEmpty {
            try Files.write(try Files.readText("\(parent)/\(file)"), to: "\(directory)/\(file)")
        }
    }

    /// Removes a group and the ones below it; one that does not exist is no error.
    ///
    /// The kernel frees a group some time after its last process, so this tries again for about `patience`
    /// milliseconds before it throws EBUSY.
    package func remove(_ group: String, patience: Int = 2000) throws(SystemError) {
        for directory in directories(of: group) { try Self.removeTree(directory, patience: patience) }
    }

    private static func removeTree(_ directory: String, patience: Int) throws(SystemError) {
        var waited = 0
        var pause = 1
        while true {
            if rmdir(directory) == 0 || errno == ENOENT { return }
            let number = errno
            guard number == EBUSY || number == ENOTEMPTY || number == EAGAIN else {
                throw SystemError("rmdir", directory, errno: number)
            }
            for child in try subgroups(of: directory) {
                try removeTree("\(directory)/\(child)", patience: patience)
            }
            if rmdir(directory) == 0 || errno == ENOENT { return }
            if waited >= patience { throw SystemError("rmdir", directory, errno: errno) }
            Processes.sleep(milliseconds: pause)
            waited += pause
            pause = min(pause * 2, 50)
        }
    }

    /// The names of the groups right below a group's directory.
    private static func subgroups(of directory: String) throws(SystemError) -> [String] {
        do {
            let handle = try DirectoryHandle(path: directory)
            var result: [String] = []
            for name in try handle.names() where try handle.status(of: name)?.kind == .directory {
                result.append(name)
            }
            return result
        } catch  where error.errno == ENOENT {
            return []
        }
    }

    /// Whether the group exists in any hierarchy.
    package func exists(_ group: String) -> Bool { directories(of: group).contains { Files.exists($0) } }
}

// MARK: - Processes

extension Cgroups {
    /// Moves a process into a group, in every hierarchy.
    package func add(_ pid: Int32, to group: String) throws(SystemError) {
        for directory in directories(of: group) { try Files.write("\(pid)", to: "\(directory)/cgroup.procs") }
    }

    /// Opens a group's `cgroup.procs` files for ``ProcessSpawner/cgroupProcs``.
    package func openProcs(of group: String) throws(SystemError) -> [CInt] {
        var result: [CInt] = []
        do {
            for directory in directories(of: group) {
                result.append(try FileDescriptor.open("\(directory)/cgroup.procs", .write).release())
            }
        } catch {
            for number in result { close(number) }
            throw error
        }
        return result
    }

    /// The processes in a group and in the ones below it, in the reader's PID namespace.
    package func processes(in group: String) throws(SystemError) -> [Int32] {
        // On v1 every hierarchy has the same processes; the devices or pids controller is as good as any.
        guard let directory = directories(of: group).first(where: { Files.exists($0) }) else { return [] }
        var result: Set<Int32> = []
        try Self.collect(from: directory, into: &result)
        return result.sorted()
    }

    private static func collect(from directory: String, into result: inout Set<Int32>) throws(SystemError) {
        let text: String
        do {
            text = try Files.readText("\(directory)/cgroup.procs")
        } catch  where error.errno == ENOENT || error.errno == ENODEV {
            return
        }
        for line in text.split(separator: "\n") {
            if let pid = Int32(line), pid > 0 { result.insert(pid) }
        }
        for child in try subgroups(of: directory) { try collect(from: "\(directory)/\(child)", into: &result) }
    }

    /// Sends a signal to every process in a group and below it; SIGKILL is atomic where the kernel can do it (v2, 5.14).
    package func signal(_ group: String, _ signal: Int32) throws(SystemError) {
        if signal == SIGKILL, isUnified, let directory = directories(of: group).first,
            Files.exists("\(directory)/cgroup.kill")
        {
            return try Files.write("1", to: "\(directory)/cgroup.kill")
        }
        // Frozen processes cannot fork away; the freezer may be missing, then a few rounds do.
        let isFrozen = (try? setFrozen(group, true)) != nil
        defer {
            // Thawing what is going away fails harmlessly.
            if isFrozen { try? setFrozen(group, false) }
        }
        for pid in try processes(in: group) {
            do {
                try Processes.kill(pid, signal)
            } catch  where error.errno == ESRCH {
                continue
            }
        }
    }

    /// Freezes or thaws a group.
    package func setFrozen(_ group: String, _ frozen: Bool) throws(SystemError) {
        guard let directory = directory(of: group, controller: "freezer") else {
            throw SystemError("freezing", group, errno: ENOTSUP)
        }
        if isUnified { return try Files.write(frozen ? "1" : "0", to: "\(directory)/cgroup.freeze") }
        try Files.write(frozen ? "FROZEN" : "THAWED", to: "\(directory)/freezer.state")
        if !frozen { return }
        // FREEZING goes on while new tasks appear; writing again takes those too (cgroup-v1/freezer-subsystem.rst).
        for _ in 0..<200 {
            if try isFrozen(group) { return }
            Processes.sleep(milliseconds: 1)
            try Files.write("FROZEN", to: "\(directory)/freezer.state")
        }
        try Files.write("THAWED", to: "\(directory)/freezer.state")
        throw SystemError("freezing", group, errno: EBUSY)
    }

    /// Whether a group is frozen; false where the machine has no freezer.
    package func isFrozen(_ group: String) throws(SystemError) -> Bool {
        guard let directory = directory(of: group, controller: "freezer") else { return false }
        do {
            if isUnified { return try Files.readText("\(directory)/cgroup.freeze") == "1" }
            return try Files.readText("\(directory)/freezer.state") == "FROZEN"
        } catch  where error.errno == ENOENT {
            return false
        }
    }

    /// How often the kernel killed a process of the group for want of memory; 0 where the machine does not count it.
    package func outOfMemoryKills(in group: String) throws(SystemError) -> Int {
        guard let directory = directory(of: group, controller: "memory") else { return 0 }
        let file = isUnified ? "memory.events" : "memory.oom_control"
        do {
            return Self.counter("oom_kill", in: try Files.readText("\(directory)/\(file)"))
        } catch  where error.errno == ENOENT || error.errno == ENODEV {
            return 0
        }
    }

    /// The value of a `key value` line.
    static func counter(_ key: String, in text: String) -> Int {
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count == 2, fields[0] == key { return Int(fields[1]) ?? 0 }
        }
        return 0
    }
}
