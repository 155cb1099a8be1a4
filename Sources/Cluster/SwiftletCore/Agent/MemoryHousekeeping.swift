// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging

/// Lets go of memory that the agent does not use: boards have little.
struct MemoryHousekeeping: Sendable {
    let logger: Logger

    /// When the start is over, and what only it executed can go.
    private static let startSeconds = 20
    /// Between two looks for free pages of the heap.
    private static let interval = Duration.seconds(60)

    /// Runs until it is cancelled.
    func run() async throws {
        try await Task.sleep(for: .seconds(Self.startSeconds))
        do {
            try ProgramText.release()
        } catch {
            logger.warning("The code of the start stays in memory", metadata: ["error": "\(error)"])
        }
        while true {
            Heap.trim()
            try await Task.sleep(for: Self.interval, tolerance: .seconds(15))
        }
    }
}
