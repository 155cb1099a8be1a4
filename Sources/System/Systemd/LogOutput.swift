// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import Logging

/// Where the process's log goes.
package enum LogOutput: String, Hashable, Sendable, CaseIterable {
    /// journald, with metadata as fields.
    case journal
    /// Standard error, as text.
    case standardError = "stderr"

    /// journald where systemd connected standard error with it, otherwise text.
    package static var automatic: LogOutput { StandardError.isJournal ? .journal : .standardError }

    /// The handler of one logger: what the composition root passes to `LoggingSystem.bootstrap`.
    package func handler(
        label: String, identifier: String = "swiftlet", logLevel: Logger.Level = .info
    ) -> any LogHandler {
        switch self {
        case .journal: JournalLogHandler(label: label, identifier: identifier, logLevel: logLevel)
        case .standardError: StandardErrorLogHandler(logLevel: logLevel)
        }
    }
}
