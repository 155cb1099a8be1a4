// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Where a container's cgroup is.
enum CgroupPlan {
    /// The group that the configuration asks for: absolute paths start at the hierarchies' roots, relative ones at the
    /// launcher's own group, and without a path the container's name is the relative one.
    static func group(for spec: RuntimeSpec, id: String, cgroups: Cgroups) throws(LauncherError) -> String {
        let path = spec.linux.cgroupsPath ?? ""
        let components = path.split(separator: "/").map(String.init)
        if components.contains("..") || components.contains(".") {
            throw LauncherError("linux.cgroupsPath: \"\(path)\" must not contain . or ..")
        }
        if path.split(separator: ":", omittingEmptySubsequences: false).count == 3, !path.hasPrefix("/") {
            throw LauncherError(
                "linux.cgroupsPath: \"\(path)\" is meant for the systemd driver; use a path such as /pods/\(id)")
        }
        if path.hasPrefix("/") { return "/" + components.joined(separator: "/") }
        let relative = components.isEmpty ? id : components.joined(separator: "/")
        let own = try ownGroup(cgroups)
        return own == "/" ? "/\(relative)" : "\(own)/\(relative)"
    }

    /// The launcher's own group; the root where it is in different ones.
    private static func ownGroup(_ cgroups: Cgroups) throws(LauncherError) -> String {
        let membership: [String: String]
        do { membership = try Cgroups.membership() } catch { throw LauncherError("finding the own cgroup", error) }
        if cgroups.isUnified { return membership[""] ?? "/" }
        let groups = Set(cgroups.hierarchies.compactMap { $0.controllers.first.flatMap { membership[$0] } })
        return groups.count == 1 ? groups.first ?? "/" : "/"
    }
}
