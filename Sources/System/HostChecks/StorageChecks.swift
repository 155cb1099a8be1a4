// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

extension Board {
    private static let leastBytes: UInt64 = 512 << 20
    private static let comfortableBytes: UInt64 = 2 << 30
    private static let leastInodes: UInt64 = 20_000

    /// File systems that cannot hold the upper layer of an overlay, by their magic numbers (statfs(2)).
    private static let unfit: [UInt32: String] = [
        0x6969: "NFS", 0x4D44: "FAT", 0x2011_BAB0: "exFAT", 0xFF53_4D42: "CIFS", 0xFE53_4D42: "SMB",
        0x6573_5546: "FUSE",
        0x5346_544E: "NTFS", 0x7366_746E: "NTFS", 0x7371_7368: "SquashFS",
    ]

    /// Room and kind of the file system below the state directory.
    func storageFindings() -> [Finding] { fileSystemFindings() + spaceFindings() }

    private func fileSystemFindings() -> [Finding] {
        guard let type = probes.fileSystemType, let name = Self.unfit[type] else { return [] }
        return [
            Finding(
                "FileSystemUnfit", .storage, .error, "\(needs.stateDirectory) is on \(name)",
                why:
                    "Containers' file systems are overlays, whose upper layer needs a file system such as ext4, xfs, btrfs "
                    + "or f2fs.",
                remedy: "Mount another file system there, or set directories.state to a directory on one")
        ]
    }

    private func spaceFindings() -> [Finding] {
        guard let space = probes.space else { return [] }
        let mebibytes = space.availableBytes >> 20
        var findings: [Finding] = []
        if space.availableBytes < Self.comfortableBytes {
            let severity: Finding.Severity = .warning
            findings.append(
                Finding(
                    space.availableBytes < Self.leastBytes ? "DiskAlmostFull" : "DiskSmall", .storage, severity,
                    "Only \(mebibytes) MiB are free below \(needs.stateDirectory)",
                    why: "Images and containers need room; writes to the store fail when the disk is full.",
                    remedy: "Free some space (apt clean; journalctl --vacuum-size=100M), or set directories.state to a "
                        + "larger disk"))
        } else {
            findings.append(
                Finding("DiskSpace", .storage, .ok, "\(mebibytes) MiB are free below \(needs.stateDirectory)"))
        }
        // btrfs and some others count no inodes.
        if space.totalInodes > 0, space.freeInodes < Self.leastInodes {
            findings.append(
                Finding(
                    "InodesScarce", .storage, .warning,
                    "Only \(space.freeInodes) inodes are free below \(needs.stateDirectory)",
                    why: "Images consist of many small files.", remedy: "Remove small files, or use another file system"
                ))
        }
        return findings
    }
}
