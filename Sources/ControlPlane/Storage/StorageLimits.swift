// SPDX-License-Identifier: Apache-2.0

/// Every bound that a store keeps, whatever its engine.
package struct StorageLimits: Sendable {
    /// The largest value in bytes (the API's request limit).
    package var valueBytes = 3 << 20
    /// Writes that may wait for the sequencer; further ones are refused.
    package var queuedWrites = 8_192
    /// Writes that go together into one transaction, and their bytes: both bound how long the others wait.
    package var batchWrites = 512
    package var batchBytes = 8 << 20
    /// The history for watches and older snapshots: changes, bytes of superseded values, and age.
    package var historyEvents = 10_000
    package var historyBytes = 4 << 20
    package var historyDuration = Duration.seconds(300)
    /// Changes that may wait for the consumer of a watch before it is cut off.
    package var watchBuffer = 4_096

    package init() {}
}
