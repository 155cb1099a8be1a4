// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import LinuxSystem

/// Has the running agent begin anew when what the machine is in its cluster has changed.
struct AgentRestart: Sendable {
    /// The agent is asked so often, and looked at so often in between.
    private static let attempts = 4
    private static let looks = 100
    private static let pause = Duration.milliseconds(50)

    private let runDirectory: String

    init(_ configuration: Configuration) { runDirectory = configuration.directories.run }

    /// Whether an agent runs.
    func isPossible() throws -> Bool { try AgentLock.holder(runDirectory: runDirectory) != nil }

    /// Asks the agent, and returns when it runs in its new role.
    ///
    /// - Returns: false where it does already.
    /// - Throws: ``JoinError`` when it does not come back.
    @discardableResult
    func run(as role: AgentLock.Role) async throws -> Bool {
        var wasAsked = false
        for _ in 0..<Self.attempts {
            if let holder = try AgentLock.holder(runDirectory: runDirectory) {
                if holder.role == role { return wasAsked }
                // While it ends or begins a signal may be lost; then it is sent again.
                try Processes.kill(holder.pid, Signals.hangUp)
                wasAsked = true
            }
            for _ in 0..<Self.looks {
                if try AgentLock.holder(runDirectory: runDirectory)?.role == role { return true }
                try await Task.sleep(for: Self.pause)
            }
        }
        throw JoinError(
            "restart the agent", reason: "it does not come back as \(role.rawValue)",
            remedy: "run 'systemctl restart swiftlet' and see 'journalctl -u swiftlet'")
    }
}
