// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The agent and commands take turns at what is in a directory.
enum DirectoryLock {
    private static let attempts = 250
    private static let pauseMilliseconds = 20

    /// Waits for the lock, which ends with the handle.
    ///
    /// - Throws: ``ClusterFormationError`` when somebody else has it for five seconds.
    static func take(_ directory: borrowing DirectoryHandle) throws {
        for attempt in 1...attempts {
            if try directory.descriptor.tryLock(directory.path) { return }
            if attempt < attempts { Processes.sleep(milliseconds: pauseMilliseconds) }
        }
        throw ClusterFormationError(
            operation: "lock", path: directory.path, reason: "another process has worked on it for five seconds",
            remedy: "wait until that has ended ('fuser \(directory.path)' shows it) and try again")
    }
}
