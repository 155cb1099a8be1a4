// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The process's standard error stream, unbuffered.
package enum StandardError: Sendable {
    /// Writes bytes as one write(2) where the kernel allows it; a stream that is closed or full is not an error.
    package static func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count <= 0 { return }
            rest = rest.dropFirst(count)
        }
    }

    /// Whether the stream leads to journald: systemd names its device and inode in `JOURNAL_STREAM` (systemd.exec(5)).
    package static var isJournal: Bool {
        guard let stream = environmentVariable("JOURNAL_STREAM") else { return false }
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }
}

/// The value of an environment variable; nil where it is not set.
///
/// getenv(3) is safe because nothing changes the environment once threads run.
package func environmentVariable(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}
