// SPDX-License-Identifier: Apache-2.0

import Logging

/// A log event in journald's form: fields of a name and bytes (systemd.journal-fields(7)).
struct JournalFields {
    /// Bounds, so that no log line can grow without limit.
    enum Limits {
        static let metadataFields = 32
        static let valueBytes = 8192
        /// journald ignores fields with longer names.
        static let nameBytes = 64
    }

    /// All fields as `NAME=value`, one after the other.
    private(set) var bytes: [UInt8] = []
    /// Where each field lies in ``bytes``.
    private(set) var ranges: [Range<Int>] = []

    /// - Parameter unspoken: keys that are no part of the message.
    init(
        _ event: LogEvent, label: String, identifier: String, metadata: Logger.Metadata, unspoken: Set<String> = []
    ) {
        bytes.reserveCapacity(512)
        add("PRIORITY", String(Self.priority(of: event.level)))
        add("SYSLOG_IDENTIFIER", identifier)
        add("MESSAGE", Self.line(event, metadata: metadata, unspoken: unspoken))
        add("CODE_FILE", event.file)
        add("CODE_LINE", String(event.line))
        add("CODE_FUNC", event.function)
        add("SWIFTLET_LOGGER", label)
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }).prefix(Limits.metadataFields) {
            add(Self.fieldName(key), value.description)
        }
    }

    private mutating func add(_ name: String, _ value: String) {
        let start = bytes.count
        bytes += name.utf8
        bytes.append(UInt8(ascii: "="))
        bytes += truncated(value).utf8
        ranges.append(start..<bytes.count)
    }

    private func truncated(_ value: String) -> Substring {
        guard value.utf8.count > Limits.valueBytes else { return value[...] }
        var end = value.utf8.index(value.startIndex, offsetBy: Limits.valueBytes)
        // Never cut inside a character.
        while end.samePosition(in: value) == nil { end = value.utf8.index(before: end) }
        return value[..<end]
    }

    /// syslog(3)'s number for a level.
    static func priority(of level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    /// A metadata key as a journal field, `pod-uid` as `SWIFTLET_POD_UID`: the prefix keeps it apart from journald's own.
    static func fieldName(_ key: String) -> String {
        var name = Array("SWIFTLET_".utf8)
        for byte in key.utf8.prefix(Limits.nameBytes - name.count) {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"): name.append(byte - 32)
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): name.append(byte)
            default: name.append(UInt8(ascii: "_"))
            }
        }
        return String(decoding: name, as: UTF8.self)
    }

    /// The message with its metadata, as people read it: `Pod started namespace=default pod=web`.
    static func line(_ event: LogEvent, metadata: Logger.Metadata, unspoken: Set<String> = []) -> String {
        var line = event.message.description
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) where !unspoken.contains(key) {
            line += " " + key + "=" + quoted(value.description)
        }
        return line
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != 0x7F }
        return isPlain ? value : value.debugDescription
    }
}
