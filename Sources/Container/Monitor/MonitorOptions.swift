// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// What a monitor is told on its command line.
struct MonitorOptions {
    var id = ""
    var bundle = ""
    /// The directory of ``MonitorPaths``; it exists.
    var directory = ""
    /// The container's log file.
    var log = ""
    /// The launcher's program file.
    var launcher = "/usr/libexec/swiftlet/swiftlet-launcher"
    /// The launcher's own options (`--root=...`).
    var launcherOptions: [String] = []
    /// The container's cgroup, for the count of kills for want of memory.
    var cgroup: String?
    var hasTerminal = false
    /// Whether the standard input is open, for attach; without it, it is /dev/null.
    var hasInput = false
    /// Whether the input is closed when the first client that wrote to it goes.
    var closesInputOnce = false
    /// The descriptor for the ``CreateReport``.
    var syncDescriptor: CInt?
    /// The descriptor that a byte comes from when the container may be created; nil for at once.
    var waitDescriptor: CInt?
    /// Whether the container starts at once, without a request.
    var startsItself = false
    /// journald's socket; nil where output goes to the log file only.
    var journal: String?
    /// What each message in the journal has, `NAME=value`.
    var journalFields: [String] = []
    /// Messages in each interval of ``JournalOutput``.
    var journalLimit = 1000

    init(_ arguments: [String]) throws(MonitorError) {
        var index = 1
        while index < arguments.count {
            let parts = arguments[index].split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            index += 1
            let name = String(parts[0])
            switch name {
            case "--terminal": hasTerminal = true
            case "--stdin": hasInput = true
            case "--stdin-once": closesInputOnce = true
            case "--start": startsItself = true
            default:
                let value: String
                if parts.count > 1 {
                    value = String(parts[1])
                } else {
                    guard index < arguments.count else { throw MonitorError("option \(name) needs a value") }
                    value = arguments[index]
                    index += 1
                }
                try set(name, value)
            }
        }
        for (name, value) in [("--id", id), ("--bundle", bundle), ("--directory", directory), ("--log", log)]
        where value.isEmpty {
            throw MonitorError("option \(name) is required")
        }
    }

    private mutating func set(_ name: String, _ value: String) throws(MonitorError) {
        switch name {
        case "--id": id = value
        case "--bundle": bundle = value
        case "--directory": directory = value
        case "--log": log = value
        case "--launcher": launcher = value
        case "--launcher-option": launcherOptions.append(value)
        case "--cgroup": cgroup = value
        case "--journal": journal = value
        case "--journal-field":
            guard value.contains("="), !value.utf8.contains(UInt8(ascii: "\n")) else {
                throw MonitorError("--journal-field: \"\(value)\" is not NAME=value on one line")
            }
            journalFields.append(value)
        case "--journal-limit":
            guard let number = Int(value), number > 0 else {
                throw MonitorError("--journal-limit: \"\(value)\" is no number above 0")
            }
            journalLimit = number
        case "--sync-fd": syncDescriptor = try Self.descriptor(name, value)
        case "--wait-fd": waitDescriptor = try Self.descriptor(name, value)
        default: throw MonitorError("unknown option \(name)")
        }
    }

    private static func descriptor(_ name: String, _ value: String) throws(MonitorError) -> CInt {
        guard let number = CInt(value), number > 2 else { throw MonitorError("\(name): \"\(value)\" is no descriptor") }
        return number
    }
}

/// Why a monitor cannot do its work.
package struct MonitorError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
    package init(_ attempt: String, _ cause: any Error) { description = "\(attempt): \(cause)" }
}
