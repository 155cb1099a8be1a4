// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import SystemBus

/// Who makes the control groups of pods.
package enum CgroupDriver: String, Hashable, Sendable, CaseIterable {
    /// This program, by itself.
    case cgroupfs
    /// systemd: a scope for each pod, in slices.
    case systemd
}

/// What a pod may use as a whole; nil for no limit.
package struct PodLimits: Hashable, Sendable {
    /// v1 shares.
    package var cpuShares: UInt64?
    /// Microseconds of CPU time in 100 ms.
    package var cpuQuota: Int64?
    /// Bytes.
    package var memory: Int64?
    package var processes: Int64?

    package init(
        cpuShares: UInt64? = nil, cpuQuota: Int64? = nil, memory: Int64? = nil, processes: Int64? = nil
    ) {
        self.cpuShares = cpuShares
        self.cpuQuota = cpuQuota
        self.memory = memory
        self.processes = processes
    }
}

/// A pod's control group as a scope of systemd, below slices named as upstream's systemd driver names them
/// (pkg/kubelet/cm: `kubepods-burstable-pod<uid>`). Containers have groups of their own inside, which systemd leaves alone.
///
/// A scope lives as long as a process is in it: it begins with the monitor of the pod's first container and ends with
/// that of the last, to begin anew when a container is started again.
package struct PodScope: Hashable, Sendable {
    /// The scope's group below the hierarchies' roots.
    let path: String
    /// The unit.
    let name: String
    /// The slice that the unit lies in.
    let slice: String

    /// Where monitors are: on cgroup v2 a group with groups that have controllers has no processes itself.
    private static let monitors = "monitors"
    /// All v1 controllers that systemd knows (systemd.resource-control(5), `Delegate=`).
    private static let legacyControllers = ["cpu", "cpuacct", "blkio", "memory", "devices", "pids"]
    /// What monitors need beside the containers of a pod with a limit.
    private static let monitorMemory: Int64 = 8 << 20
    /// How often, and with which pauses in milliseconds, a scope that is just ending is waited for.
    private static let attempts = 80
    private static let pause = 25

    /// The scope of a group that was made as one; nil for another group.
    init?(path: String) {
        let parts = path.split(separator: "/").map(String.init)
        guard let name = parts.last, name.hasSuffix(".scope"), let slice = parts.dropLast().last else { return nil }
        self.path = path
        self.name = name
        self.slice = slice
    }

    /// The group of a pod below a root and a parent such as `/kubepods/burstable`.
    static func path(root: String, parent: String, uid: String) -> String {
        let names = unitNames(root: root, parent: parent)
        let slices = names.map { "/\($0).slice" }.joined()
        return "\(slices)/\(names.last.map { "\($0)-" } ?? "")pod\(escaped(uid)).scope"
    }

    /// The slice, as a unit, that stands for a parent of pods such as `/kubepods/burstable`.
    static func slice(root: String, parent: String) -> String {
        "\(unitNames(root: root, parent: parent).last ?? "-").slice"
    }

    /// The slice that holds all pods of a node, as a unit.
    package static func topSlice(root: String) -> String {
        "\(unitNames(root: root, parent: "/kubepods").first ?? "kubepods").slice"
    }

    /// The names of nested slices: each has that of the one that it lies in before its own (systemd.slice(5)).
    private static func unitNames(root: String, parent: String) -> [String] {
        var names: [String] = []
        for part in (root + "/" + parent).split(separator: "/") {
            names.append((names.last.map { "\($0)-" } ?? "") + escaped(String(part)))
        }
        return names
    }

    /// A dash means a level (upstream: escapeSystemdCgroupName).
    private static func escaped(_ part: String) -> String { part.replacing("-", with: "_") }

    /// Moves a monitor into the pod's scope, making the scope if there is none now.
    func admit(_ process: Int32, limits: PodLimits, description: String, stopsAfter: [String]) throws {
        let groups = try Cgroups.current()
        let inner = "\(path)/\(Self.monitors)"
        var scope = scope(process, limits, description, stopsAfter)
        if !groups.isUnified { scope.legacyControllers = Self.legacyControllers }
        var left = Self.attempts
        repeat {
            if try enter(process, inner, groups) { return }
            left -= 1
        } while try !start(scope, mayFail: left > 0)
        try makeInner(inner, groups)
        try groups.add(process, to: inner)
    }

    /// Changes the limits of the scope that runs.
    func limit(to limits: PodLimits) throws(BusError) {
        try ServiceManager.limit(scope(nil, limits, "", []))
    }

    private func makeInner(_ inner: String, _ groups: Cgroups) throws(SystemError) {
        if !groups.isUnified { return try groups.create(inner) }
        // No controller may be enabled while the process is still in the scope itself: the scope would become the root of
        // threads' groups, in which processes have no place (cgroup-v2.rst, "Threads"). The launcher does it later.
        for directory in groups.directories(of: inner) { try Files.makeDirectory(directory, mayExist: true) }
    }

    /// Starts the scope; false after a pause where there is one of its name: another monitor was faster, or the last one has
    /// just ended.
    private func start(_ scope: TransientScope, mayFail: Bool) throws(BusError) -> Bool {
        do {
            try ServiceManager.start(scope)
            return true
        } catch {
            guard mayFail, error.name == ServiceManager.unitExists else { throw error }
            Processes.sleep(milliseconds: Self.pause)
            return false
        }
    }

    /// Joins the monitors that are there; false where there are none.
    ///
    /// systemd puts the process there, for it alone knows whether the scope is just ending: then it removes the groups in it
    /// that have no process yet, such as that of a container which is being made.
    private func enter(_ process: Int32, _ inner: String, _ groups: Cgroups) throws(SystemError) -> Bool {
        // On v1, systemd removes the group in its own hierarchies only.
        guard let own = groups.directory(of: inner, controller: "name=systemd"), Files.exists(own) else { return false }
        do {
            try ServiceManager.attach(process, to: name, below: groups.isUnified ? "/\(Self.monitors)" : "")
        } catch {
            // Whatever it is, starting the scope either helps or fails for the same reason.
            return false
        }
        if !groups.isUnified { try groups.add(process, to: inner) }
        return true
    }

    private func scope(
        _ process: Int32?, _ limits: PodLimits, _ description: String, _ stopsAfter: [String]
    ) -> TransientScope {
        var scope = TransientScope(
            name: name, description: description, slice: slice, processes: process.map { [$0] } ?? [])
        scope.cpuWeight = limits.cpuShares.map { CgroupTree.weight(shares: $0) }
        scope.cpuQuota = limits.cpuQuota.map { UInt64(max(0, $0)) * 10 }
        scope.memoryMax = limits.memory.map { UInt64(max(0, $0) + Self.monitorMemory) }
        scope.tasksMax = limits.processes.map { UInt64(max(1, $0)) }
        scope.stopsAfter = stopsAfter
        return scope
    }
}
