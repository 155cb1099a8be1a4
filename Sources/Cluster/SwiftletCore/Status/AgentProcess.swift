// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// What a process has used, from /proc.
package struct ProcessUse: Sendable, Hashable {
    /// Number of processes that are counted.
    package var processes = 0
    /// Bytes of memory, shared pages counted by their share; 0 where the reader may not look.
    package var proportionalBytes: UInt64 = 0
    /// Processor time since the start, in milliseconds.
    package var processorMilliseconds: UInt64 = 0
    /// Bytes sent to disks since the start.
    package var writtenBytes: UInt64 = 0

    /// Adds a process; one that has gone or that may not be looked at adds what is known of it.
    mutating func add(_ pid: Int32) {
        // What cannot be read counts as nothing; the process may be gone by now.
        let text = { (name: String) -> String in (try? Files.readText("/proc/\(pid)/\(name)")) ?? "" }
        processes += 1
        proportionalBytes += Self.value("Pss:", in: text("smaps_rollup")) * 1024
        writtenBytes += Self.value("write_bytes:", in: text("io"))
        // The name, in parentheses, may hold anything; user and system time are the 12th and 13th field behind it.
        if let end = text("stat").lastIndex(of: ")") {
            let fields = text("stat")[end...].split(separator: " ")
            let ticks = fields.dropFirst(12).prefix(2).compactMap { UInt64($0) }.reduce(0, +)
            processorMilliseconds += ticks * 1000 / UInt64(max(1, SystemFacts.ticksPerSecond))
        }
    }

    private static func value(_ name: String, in text: String) -> UInt64 {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { UInt64($0) } ?? 0
        }
        return 0
    }
}

/// The running agent, found through the lock that it holds.
package enum AgentProcess: Sendable {
    /// The agent's process number; nil where it does not run.
    package static func find(_ configuration: Configuration) -> Int32? {
        // Who may not look into the run directory sees no agent.
        (try? AgentLock.holder(runDirectory: configuration.directories.run))?.pid
    }

    /// What the agent and its monitors use, by component.
    static func use(_ configuration: Configuration) -> [(component: String, use: ProcessUse)] {
        var agent = ProcessUse()
        var monitors = ProcessUse()
        if let pid = find(configuration) { agent.add(pid) }
        for pid in NodeProcesses.monitors(runDirectory: configuration.directories.run) { monitors.add(pid) }
        return [("agent", agent), ("monitors", monitors)]
    }
}
