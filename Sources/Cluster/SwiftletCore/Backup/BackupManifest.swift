// SPDX-License-Identifier: Apache-2.0

package import JSON
import LinuxSystem
import PKI

/// What a backup holds, with checksums.
package struct BackupManifest: Sendable, Hashable {
    static let fileName = "manifest.json"
    static let format = 1

    /// When it was made, RFC 3339.
    package var created: String
    package var nodeName: String
    /// The version of Swiftlet that made it.
    package var version: String
    /// SHA-256 in hexadecimal by path.
    package var files: [String: String]

    package var json: JSON {
        [
            "format": JSON(Self.format), "created": .string(created), "node": .string(nodeName),
            "version": .string(version), "files": JSON(files),
        ]
    }

    /// - Throws: ``BackupError`` when it is not a manifest that this version reads.
    init(_ bytes: [UInt8], of file: String) throws(BackupError) {
        guard let json = try? JSON.parse(bytes), let format = json["format"]?.int else {
            throw BackupError("\(file) is not a backup: its \(Self.fileName) cannot be read")
        }
        guard format == Self.format else {
            throw BackupError(
                "\(file) has format \(format) and this version reads \(Self.format): install the newer version")
        }
        created = json["created"]?.string ?? ""
        nodeName = json["node"]?.string ?? ""
        version = json["version"]?.string ?? ""
        files = json["files"]?.stringMap ?? [:]
    }

    init(created: String, nodeName: String, version: String, files: [String: String]) {
        self.created = created
        self.nodeName = nodeName
        self.version = version
        self.files = files
    }

    /// The SHA-256 of a file of any size.
    static func checksum(_ path: String) throws -> String {
        let file = try FileDescriptor.open(path, [.read, .noFollow])
        var hash = try SHA256()
        var offset: UInt64 = 0
        while true {
            let part = try file.bytes(at: offset, limit: 1 << 20, path)
            if part.isEmpty { break }
            hash.update(part)
            offset += UInt64(part.count)
        }
        return hexadecimal(hash.finish())
    }
}

/// Why a backup or a restore was not done; nothing was changed.
package struct BackupError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }

    /// - Parameter path: what there was no room for.
    static func diskFull(_ path: String, _ cause: String) -> BackupError {
        BackupError("the disk of \(path) is full; free some space and run the same command again. (\(cause))")
    }
}
