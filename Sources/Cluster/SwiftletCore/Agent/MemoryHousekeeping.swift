// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging

/// Lets go of memory that the agent does not use: boards have little.
struct MemoryHousekeeping: Sendable {
    let logger: Logger

    /// When the start is over, and what only it executed can go.
    private static let startSeconds = 20
    /// Between two looks for free pages of the heap, and for code and constants that are mapped and used no longer: what still
    /// is costs some hundred minor page faults.
    private static let interval = Duration.seconds(60)

    /// Runs until it is cancelled.
    func run() async throws {
        try await Task.sleep(for: .seconds(Self.startSeconds))
        var releasesImage = true
        while true {
            if releasesImage {
                do { try ProgramImage.releaseReadOnly() } catch {
                    // It would fail the next time, too.
                    releasesImage = false
                    logger.warning("Code that is not executed stays in memory", metadata: ["error": "\(error)"])
                }
            }
            Heap.trim()
            try await Task.sleep(for: Self.interval, tolerance: .seconds(15))
        }
    }
}
