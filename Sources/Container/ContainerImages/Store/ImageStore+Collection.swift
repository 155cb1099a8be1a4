// SPDX-License-Identifier: Apache-2.0

import JSON
package import LinuxSystem

/// What garbage collection freed.
package struct CollectionResult: Hashable, Sendable {
    /// Layers that were removed.
    package var layers = 0
    /// Bytes that those took up.
    package var bytes: UInt64 = 0
}

extension ImageStore {
    /// Removes layers and blobs that no image, container or running pull needs, and what killed processes left.
    @discardableResult
    package func collectGarbage() throws(ImageError) -> CollectionResult {
        try translating("clean up the image store") {
            let result = try withLock {
                var needed = Needed()
                for image in try readImagesForCollection() { needed.insert(image) }
                try collectSessions(&needed)
                for container in try containers.handle.names() {
                    try needed.layers.formUnion(layersOfContainer(container).map { $0.hex })
                }
                try collectBlobs(needed)
                return try collectLayers(needed)
            }
            emptyTrash()
            return result
        }
    }

    private struct Needed {
        var layers: Set<String> = []
        var blobs: Set<String> = []

        mutating func insert(_ image: Image) {
            layers.formUnion(image.layers.map(\.hex))
            blobs.formUnion([image.id.hex, image.manifest.hex])
        }
    }

    /// A list that cannot be read must not lead to the loss of every image.
    private func readImagesForCollection() throws -> [Image] { try images() }

    private func collectSessions(_ needed: inout Needed) throws {
        for name in try ingest.handle.names() {
            guard let session = try openSession(name) else { continue }
            let lock = SharedFile(try session.handle.openOrCreateFile("lock"))
            if try lock.descriptor.tryLock(name) {
                try ingest.handle.rename(name, to: name, in: trash.handle)
                continue
            }
            guard try session.handle.status(of: "lease") != nil else { continue }
            let lease = SharedFile(try session.handle.openFile("lease"))
            let text = String(decoding: try lease.descriptor.bytes(limit: 1 << 20, "lease"), as: UTF8.self)
            for line in text.split(separator: "\n") {
                if line.hasPrefix("layer ") { needed.layers.insert(String(line.dropFirst(6))) }
                if line.hasPrefix("blob ") { needed.blobs.insert(String(line.dropFirst(5))) }
            }
        }
    }

    /// Nil where the session has just ended.
    private func openSession(_ name: String) throws -> SharedDirectory? {
        do {
            return SharedDirectory(try ingest.handle.openDirectory(name))
        } catch {
            guard error.isMissing else { throw error }
            return nil
        }
    }

    private func collectBlobs(_ needed: Needed) throws {
        for name in try blobs.handle.names() where !needed.blobs.contains(name) {
            // Temporary names begin with a dot; a live one can only be there under the lease of a session, briefly.
            if name.hasPrefix("."), try !isOld(name, in: blobs) { continue }
            try blobs.handle.removeFile(name)
        }
        for name in try root.handle.names() where name.hasPrefix(".") {
            if try isOld(name, in: root) { try root.handle.removeFile(name) }
        }
    }

    /// Whether a temporary file is older than a minute, and so nobody's.
    private func isOld(_ name: String, in directory: SharedDirectory) throws -> Bool {
        guard let status = try directory.handle.status(of: name) else { return false }
        return status.modified.seconds < FileTime.now().seconds - 60
    }

    private func collectLayers(_ needed: Needed) throws -> CollectionResult {
        var result = CollectionResult()
        for name in try layers.handle.names() where !needed.layers.contains(name) {
            // A layer without a readable record is removed all the same.
            let record = try? layerRecord(Digest("sha256:\(name)"))
            try layers.handle.rename(name, to: "\(name).\(try Self.uniqueName())", in: trash.handle)
            result.layers += 1
            result.bytes += record?.diskBytes ?? 0
        }
        return result
    }

    /// Deletes what was moved to the trash; several processes may do so at once.
    func emptyTrash() {
        // What another process deletes at this moment, or cannot be deleted now, is left to the next collection.
        guard let names = try? trash.handle.names() else { return }
        for name in names { try? trash.handle.removeTree(name) }
    }

    /// What the images take up on disk, each layer counted once.
    package func imageBytes() throws(ImageError) -> UInt64 {
        try translating("measure the image store") {
            var bytes: UInt64 = 0
            for name in try layers.handle.names() {
                // A layer that is collected meanwhile no longer counts.
                bytes += (try? layerRecord(Digest("sha256:\(name)")).diskBytes) ?? 0
            }
            return bytes
        }
    }

    /// Room on the store's file system.
    package func space() throws(ImageError) -> FileSystemSpace {
        try translating("measure the image store") { try root.handle.descriptor.space(path) }
    }
}
