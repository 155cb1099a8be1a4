// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The container's log file.
///
/// What cannot be written now (a full disk) is kept, at most one formatted chunk for each stream, and the streams are
/// not read until it is out: the container waits, and nothing is lost. Only after its end that is given up one day.
final class LogFile {
    private let path: String
    private var file: CInt
    private(set) var pending: [UInt8] = []
    private var isLost = false

    init(path: String) throws(SystemError) {
        self.path = path
        file = try Self.open(path)
    }

    deinit { _ = FileDescriptor(owning: file) }

    private static func open(_ path: String) throws(SystemError) -> CInt {
        try FileDescriptor.open(path, [.write, .create, .append], permissions: 0o640).release()
    }

    /// Opens the path again, after the old file was renamed; on failure the old one stays in use.
    func reopen() throws(SystemError) {
        let fresh = try Self.open(path)
        _ = FileDescriptor(owning: file)
        file = fresh
    }

    /// Writes as much as the disk takes.
    func append(_ bytes: [UInt8]) {
        if isLost { return }
        pending += bytes
        flush()
    }

    /// Throws away what is pending and whatever comes after it.
    func giveUp() {
        isLost = true
        pending = []
    }

    /// Tries to write what is pending.
    func flush() {
        while !pending.isEmpty {
            let count = pending.withUnsafeBytes { bytes in
                // A full disk, a quota, an I/O error: the caller tries again later.
                (try? FileDescriptor.writeSome(bytes, to: file, path)) ?? nil
            }
            guard let count, count > 0 else { return }
            pending.removeFirst(count)
        }
    }
}
