// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Monitor

/// Finds a node's processes in /proc: those that no cgroup tells.
enum NodeProcesses {
    /// The monitors of containers whose state lies below a run directory.
    static func monitors(runDirectory: String) -> [Int32] {
        all().filter { process in
            let words = commandLine(of: process)
            guard let first = words.first, name(first) == ContainerMonitor.programName else { return false }
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
}
