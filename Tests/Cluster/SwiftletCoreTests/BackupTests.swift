// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SwiftletCore

@Suite struct BackupTests {
    /// What a backup to a place says at which somebody was before.
    private static func complaint(_ prepare: (_ work: String) throws -> Void) throws -> String {
        let directory = try TemporaryDirectory()
        var configuration = Configuration()
        configuration.directories.state = "\(directory.path)/state"
        let target = "\(directory.path)/backup.tar.gz"
        try prepare("\(target).unfinished")
        do {
            _ = try Backup(configuration, configurationFile: "\(directory.path)/config.yaml").write(to: target)
            return ""
        } catch {
            return "\(error)"
        }
    }

    private static func makeDirectory(_ path: String, permissions: UInt32, owner: UInt32 = 0) throws {
        try Files.makeDirectory(path)
        let directory = try FileDescriptor.open(path, [.read, .directory])
        try directory.setPermissions(permissions, path)
        if owner != 0 { try directory.setOwner(owner, group: 0, path) }
    }

    @Test func noSecretsGoWhereSomebodyElseMayLook() throws {
        for permissions: UInt32 in [0o755, 0o770, 0o711] {
            let said = try Self.complaint { try Self.makeDirectory($0, permissions: permissions) }
            #expect(said.contains("others may look into it"))
        }
        #expect(
            try Self.complaint { work in
                try Self.makeDirectory(work + "2", permissions: 0o700)
                try Files.makeLink(work, to: work + "2")
            }.contains("no directory"))
        #expect(try Self.complaint { try Files.replace($0, with: []) }.contains("no directory"))
        if Processes.effectiveUserID == 0 {
            let said = try Self.complaint { try Self.makeDirectory($0, permissions: 0o700, owner: 1234) }
            #expect(said.contains("others may look into it"))
        }
        // What an attempt of one's own left is in nobody's way: this one fails for want of a store.
        let own = try Self.complaint { try Self.makeDirectory($0, permissions: 0o700) }
        #expect(own.contains("/state/store") && !own.contains("in the way"))
    }
}
