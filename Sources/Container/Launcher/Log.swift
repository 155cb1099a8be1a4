// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// The launcher's messages: to the log file that the caller named, and failures (without a file, all) to standard error.
///
/// The formats are those that podman and containerd parse: runc's text (logrus) and its JSON form with `level`, `msg`
/// and `time`.
package final class Log {
    /// How the log file is written.
    package enum Format: String, CaseIterable, Sendable { case text, json }
    /// How much a message matters.
    package enum Level: String, Sendable { case debug, warning, error }

    private let file: FileDescriptor?
    private let format: Format
    private let isDebug: Bool

    /// Opens the log file, if there is one, to append to it.
    package init(path: String?, format: Format, isDebug: Bool) throws(LauncherError) {
        self.format = format
        self.isDebug = isDebug
        guard let path else {
            file = nil
            return
        }
        do {
            file = try FileDescriptor.open(path, [.write, .create, .append, .noFollow], permissions: 0o600)
        } catch {
            throw LauncherError("opening the log file", error)
        }
    }

    /// Writes a message; debug messages only if asked for.
    package func write(_ level: Level, _ message: String) {
        if level == .debug, !isDebug { return }
        // Standard error is the container's own too, so what is no failure goes there only for want of a log.
        if level == .error || file == nil {
            StandardError.write(
                Array("swiftlet-launcher: \(level == .error ? "" : "\(level.rawValue): ")\(message)\n".utf8))
        }
        // A full disk must not keep the launcher from its work; the message went to standard error.
        try? file?.writeAll(line(level, message))
    }

    private func line(_ level: Level, _ message: String) -> String {
        let time = FileTime.now().rfc3339
        switch format {
        case .json:
            let object: JSON = ["level": .string(level.rawValue), "msg": .string(message), "time": .string(time)]
            return object.text() + "\n"
        case .text:
            return "time=\"\(time)\" level=\(level.rawValue) msg=\(JSON.string(message).text())\n"
        }
    }

    /// Writes a warning.
    package func warn(_ message: String) { write(.warning, message) }
}
