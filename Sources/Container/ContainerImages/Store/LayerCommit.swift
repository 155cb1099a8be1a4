// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// Puts an unpacked layer in its place in the store.
struct LayerCommit {
    let session: IngestSession
    /// The layer's directory below the session's.
    let name: String
    let directory: SharedDirectory
    let outcome: LayerUnpacker.Outcome
    /// The chain identifiers of the layers below, the lowest first; all are in the store.
    let below: [Digest]

    /// Completes the layer with what it takes from those below, makes it durable and renames it into place.
    ///
    /// Where another pull has put the same layer there meanwhile, ours is thrown away.
    func commit(as chainID: Digest) throws {
        let store = session.store
        if try !store.hasLayer(chainID) {
            let files = SharedDirectory(try directory.handle.openDirectory(LayerDirectory.files))
            let lower = try below.reversed().map { chainID in
                SharedDirectory(
                    try store.layers.handle.openDirectory(chainID.hex).openDirectory(LayerDirectory.files))
            }
            try settleDirectories(files, lower)
            try settleLinks(files, lower)
            try writeRecord(chainID)
            // One flush of everything instead of one per file; the rename may only become durable after it.
            try directory.handle.descriptor.synchronizeFileSystem(store.path)
            do {
                try session.directory.handle.rename(name, to: chainID.hex, in: store.layers.handle)
            } catch {
                guard try store.hasLayer(chainID) else { throw error }
            }
            try store.layers.handle.descriptor.synchronize(store.layers.handle.path)
        }
        session.discardLayer(name)
    }

    private func writeRecord(_ chainID: Digest) throws {
        let record = LayerRecord(
            chainID: chainID, diffID: outcome.diffID, tarBytes: outcome.tarBytes, diskBytes: outcome.diskBytes)
        let file = SharedFile(try directory.handle.createFile(LayerDirectory.record))
        try record.json.serialized().withUnsafeBytes { try file.descriptor.write($0, LayerDirectory.record) }
    }

    /// Gives directories that no member of the layer described the owner and mode of the layers below:
    /// in an overlay the upper directory's count.
    private func settleDirectories(_ files: SharedDirectory, _ lower: [SharedDirectory]) throws {
        for path in outcome.leftovers.impliedDirectories {
            guard let status = try directoryStatus(path, lower) else { continue }
            let directory = try files.handle.openDirectory(inRoot: path)
            try directory.descriptor.setOwner(status.owner, group: status.group, path)
            try directory.descriptor.setPermissions(status.permissions, path)
            try directory.descriptor.setTime(status.modified, path)
        }
    }

    /// The directory at a path in the topmost layer that has the path, nil where that is no directory.
    private func directoryStatus(_ path: String, _ lower: [SharedDirectory]) throws -> FileStatus? {
        for layer in lower {
            do {
                return try layer.handle.openDirectory(inRoot: path).descriptor.status(path)
            } catch {
                // A whiteout on the way is no directory either: what is further below does not show.
                if error.isNotDirectory { return nil }
                guard error.isMissing else { throw error }
            }
        }
        return nil
    }

    /// Copies the targets of hard links that lower layers have, as overlayfs itself would have done.
    private func settleLinks(_ files: SharedDirectory, _ lower: [SharedDirectory]) throws {
        for (path, target) in outcome.leftovers.links {
            guard let name = path.name, let targetName = target.name,
                let source = try lower.lazy.compactMap({ try Self.find(target, in: $0) }).first
            else {
                throw ImageError(
                    .malformed, "", "\"\(path.text)\" is a hard link to \"\(target.text)\", which does not exist")
            }
            let parent = SharedDirectory(try files.handle.openDirectory(inRoot: path.parent))
            try Self.copy(targetName, from: source, to: name, in: parent)
        }
    }

    private static func find(_ path: LayerPath, in layer: SharedDirectory) throws -> SharedDirectory? {
        do {
            let parent = SharedDirectory(try layer.handle.openDirectory(inRoot: path.parent))
            guard let name = path.name, try parent.handle.status(of: name)?.kind == .regular else { return nil }
            return parent
        } catch {
            guard error.isMissing || error.isNotDirectory else { throw error }
            return nil
        }
    }

    private static func copy(
        _ name: String, from source: SharedDirectory, to newName: String, in target: SharedDirectory
    ) throws {
        let original = SharedFile(try source.handle.openFile(name))
        let status = try original.descriptor.status(name)
        let copy = SharedFile(try target.handle.createFile(newName))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try original.descriptor.read(into: buffer, name)
            if count == 0 { break }
            try copy.descriptor.write(UnsafeRawBufferPointer(rebasing: buffer[..<count]), newName)
        }
        try copy.descriptor.setOwner(status.owner, group: status.group, newName)
        try copy.descriptor.setPermissions(status.permissions, newName)
        if let capability = try original.descriptor.attribute("security.capability", name) {
            try copy.descriptor.setAttribute("security.capability", capability, newName)
        }
        try copy.descriptor.setTime(status.modified, newName)
    }
}
