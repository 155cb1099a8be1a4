// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Compressed archives that only root reads, made by tar(1).
enum Tarball {
    /// Packs entries of a directory; the file is on disk, with mode 0600, when this returns.
    ///
    /// - Throws: ``Program/Failure`` or ``SystemError``.
    static func pack(_ entries: [String], of directory: String, as archive: String) throws {
        let tar = try Program.require("tar", package: "tar")
        let mask = Processes.setFileCreationMask(0o077)
        defer { _ = Processes.setFileCreationMask(mask) }
        let result = try Program.run(
            tar,
            ["--create", "--gzip", "--owner=0", "--group=0", "--file", archive, "--directory", directory, "--"]
                + entries)
        guard result.status == 0 else { throw Program.Failure(description: "tar failed: \(result.output.trimmed)") }
        let file = try FileDescriptor.open(archive, .read)
        try file.setPermissions(0o600, archive)
        try file.synchronize(archive)
    }
}
