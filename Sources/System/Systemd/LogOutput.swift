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
    ///
    /// - Parameter unspoken: keys of a logger's own metadata that are no part of the text that people read, because all
    ///   entries have them alike.
    package func handler(
        label: String, identifier: String = "swiftlet", logLevel: Logger.Level = .info, unspoken: Set<String> = [],
        metadataProvider: Logger.MetadataProvider? = nil
    ) -> any LogHandler {
        switch self {
        case .journal:
            var handler = JournalLogHandler(
                label: label, identifier: identifier, logLevel: logLevel, unspoken: unspoken)
            handler.metadataProvider = metadataProvider
            return handler
        case .standardError:
            var handler = StandardErrorLogHandler(logLevel: logLevel, unspoken: unspoken)
            handler.metadataProvider = metadataProvider
            return handler
        }
    }
}
