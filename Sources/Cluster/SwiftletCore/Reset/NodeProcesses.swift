// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Finds a node's processes in /proc: those that no cgroup tells.
enum NodeProcesses {
    /// The agent of this network namespace; nil where none runs. There can be one only, because it owns the ports.
    static func agent() -> Int32? {
        guard let own = namespace(of: "self") else { return nil }
        return all().first { process in
            let words = commandLine(of: process)
            return words.count > 1 && name(words[0]) == "swiftlet" && words[1] == "run"
                && namespace(of: "\(process)") == own
        }
    }

    /// The monitors of containers whose state lies below a run directory.
    static func monitors(runDirectory: String) -> [Int32] {
        all().filter { process in
            let words = commandLine(of: process)
            guard let first = words.first, name(first) == "swiftlet-monitor" else { return false }
            return words.contains { $0.contains("\(runDirectory)/") }
        }
    }

    private static func all() -> [Int32] {
        // Without /proc there is nothing to find, and nothing runs that could be.
        ((try? Files.names(in: "/proc")) ?? []).compactMap { Int32($0) }
    }

    private static func name(_ path: String) -> String { path.split(separator: "/").last.map(String.init) ?? "" }

    private static func commandLine(of process: Int32) -> [String] {
        // A process that has ended meanwhile has no command line.
        guard let bytes = try? Files.read("/proc/\(process)/cmdline") else { return [] }
        return bytes.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
    }

    private static func namespace(of process: String) -> String? {
        // As above.
        try? Files.linkTarget("/proc/\(process)/ns/net")
    }
}
