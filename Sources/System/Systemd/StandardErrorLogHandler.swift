// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import Logging

/// A swift-log back end that writes one compact line per event to standard error.
///
/// `2026-05-01T10:00:00.123Z WARN  Pod failed pod=default/web`; the time is left out where journald adds its own.
package struct StandardErrorLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let unspoken: Set<String>
    private let showsTime: Bool
    private let write: @Sendable ([UInt8]) -> Void
    private let now: @Sendable () -> FileTime

    package init(
        logLevel: Logger.Level = .info, unspoken: Set<String> = [], showsTime: Bool = !StandardError.isJournal,
        now: @escaping @Sendable () -> FileTime = { FileTime.now() },
        write: @escaping @Sendable ([UInt8]) -> Void = { StandardError.write($0) }
    ) {
        self.logLevel = logLevel
        self.unspoken = unspoken
        self.showsTime = showsTime
        self.now = now
        self.write = write
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let spoken = metadata.filter { !unspoken.contains($0.key) }
        let merged = mergedMetadata(of: event, own: spoken, provider: metadataProvider)
        var line = showsTime ? timestamp(now()) + " " : ""
        line += Self.name(of: event.level) + " "
        // A line of the log stays one line, whatever somebody put into a message.
        let text = JournalFields.line(event, metadata: merged)
        line += text.utf8.contains(UInt8(ascii: "\n")) ? text.split(separator: "\n").joined(separator: "\\n") : text
        line += "\n"
        write(Array(line.utf8))
    }

    private static func name(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "FATAL"
        }
    }
}

/// RFC 3339 in UTC with milliseconds.
func timestamp(_ time: FileTime) -> String {
    func padded(_ value: Int64, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    let days = time.seconds >= 0 ? time.seconds / 86400 : (time.seconds - 86399) / 86400
    let rest = time.seconds - days * 86400
    // Days to a date by counting from 1 March 0000 in eras of 400 years, where leap days come last.
    let shifted = days + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    let date = padded(year, 4) + "-" + padded(month, 2) + "-" + padded(day, 2)
    let clock = padded(rest / 3600, 2) + ":" + padded(rest / 60 % 60, 2) + ":" + padded(rest % 60, 2)
    return date + "T" + clock + "." + padded(time.nanoseconds / 1_000_000, 3) + "Z"
}
