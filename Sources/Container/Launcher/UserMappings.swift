// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Gives a new user namespace its ids (user_namespaces(7)).
enum UserMappings {
    /// Writes the mappings of a process's user namespace from outside.
    static func write(
        uid: [RuntimeSpec.IDMapping], gid: [RuntimeSpec.IDMapping], for pid: Int32
    ) throws(LauncherError) {
        try attempting("mapping group ids") { try write(gid, "gid_map", tool: "newgidmap", for: pid) }
        try attempting("mapping user ids") { try write(uid, "uid_map", tool: "newuidmap", for: pid) }
    }

    private static func write(
        _ mappings: [RuntimeSpec.IDMapping], _ file: String, tool: String, for pid: Int32
    ) throws(SystemError) {
        let lines = mappings.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
        do {
            try Files.write(lines, to: "/proc/\(pid)/\(file)")
        } catch  where error.errno == Errno.EPERM && Processes.effectiveUserID != 0 {
            if file == "gid_map", mappings.count == 1, mappings[0].size == 1 {
                // An unprivileged user may map the own group once setgroups(2) is given up.
                try Files.write("deny", to: "/proc/\(pid)/setgroups")
                return try Files.write(lines, to: "/proc/\(pid)/\(file)")
            }
            try runTool(tool, mappings, pid: pid)
        }
    }

    /// The set-uid helpers of shadow-utils, which check /etc/subuid and /etc/subgid.
    private static func runTool(_ tool: String, _ mappings: [RuntimeSpec.IDMapping], pid: Int32) throws(SystemError) {
        var arguments = [tool, "\(pid)"]
        for mapping in mappings {
            arguments += ["\(mapping.containerID)", "\(mapping.hostID)", "\(mapping.size)"]
        }
        let child = try ProcessSpawner(
            path: "/usr/bin/\(tool)", arguments: arguments, environment: Processes.environment()
        ).start()
        guard try Processes.wait(for: child.process) == .exited(0) else {
            throw SystemError(tool, "(see /etc/subuid and /etc/subgid)", errno: Errno.EPERM)
        }
    }

    /// A detached copy of a mount's source whose ids are mapped.
    ///
    /// Runs before the container's process exists: only a user of the source's own user namespace may do it.
    static func mapSource(
        _ source: String, recursive: Bool, uid: [RuntimeSpec.IDMapping], gid: [RuntimeSpec.IDMapping]
    ) throws(LauncherError) -> FileDescriptor {
        do {
            let holder = try namespace(uid: uid, gid: gid)
            let copy = try Mounting.cloneTree(source, recursive: recursive)
            try Mounting.setAttributes(
                of: copy, set: .idMap, recursive: recursive, userNamespace: holder.rawValue, source)
            return copy
        } catch {
            throw LauncherError("mapping the ids of \"\(source)\"", error)
        }
    }

    /// A user namespace with these mappings, kept alive by its descriptor only.
    private static func namespace(
        uid: [RuntimeSpec.IDMapping], gid: [RuntimeSpec.IDMapping]
    ) throws -> FileDescriptor {
        let pair = try Sockets.pair(.packets)
        let pid = try Processes.fork(into: .user)
        if pid == 0 {
            // Waits until the parent has opened the namespace and closes its end.
            _ = try? Sockets.receive(limit: 1, on: pair.second)
            Processes.exit(0)
        }
        defer {
            // The child ends by itself; it is reaped so that no zombie stays.
            try? Processes.kill(pid, Signals.kill)
            _ = try? Processes.wait(for: pid)
        }
        try write(uid: uid, gid: gid, for: pid)
        return try FileDescriptor.open("/proc/\(pid)/ns/user", .read)
    }
}
