// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import PKI
import Synchronization

/// Images, unpacked layers and containers' file systems below one directory.
///
/// The agent and the command line may use the same directory at the same time:
/// - `images.json` lists the images; it is replaced as a whole (written, fsynced, renamed) under an exclusive flock(2)
///   on `lock`, which is held for milliseconds.
/// - `blobs/sha256/` has manifests and configurations, `layers/<chainID>/` the unpacked layers: both are made below
///   `ingest/` and renamed into place, so that what is there is whole, whatever was killed when.
/// - `ingest/<id>/` belongs to a pull or import as long as that holds the flock of its `lock` file; the kernel lets go of
///   it when the process dies. `lease` lists what the owner relies on: garbage collection spares it.
/// - `containers/<id>/` has a container's writable layer and the list of the layers below it.
/// - `trash/` is what collection moved out of the way; it is deleted without the lock.
///
/// All calls block on the disk: the agent makes them through ``ImageService``.
package final class ImageStore: Sendable {
    /// The directory.
    package let path: String
    let limits: ImageLimits
    let root: SharedDirectory
    let blobs: SharedDirectory
    let layers: SharedDirectory
    let ingest: SharedDirectory
    let containers: SharedDirectory
    let trash: SharedDirectory
    /// The list as last read, with the file's identity, which changes with every replacement.
    private let cached = Mutex<(file: FileStatus, images: [Image])?>(nil)

    static let list = "images.json"

    /// Opens the store and makes what is missing.
    ///
    /// - Parameter cleansUp: whether to collect what killed processes left behind, as the agent does when it starts.
    package init(path: String, limits: ImageLimits = ImageLimits(), cleansUp: Bool = true) throws(ImageError) {
        self.path = path
        self.limits = limits
        do {
            root = SharedDirectory(try DirectoryHandle.create(path: path, permissions: 0o711))
            blobs = try Self.subdirectory("blobs", "sha256", of: root)
            layers = try Self.subdirectory("layers", of: root)
            ingest = try Self.subdirectory("ingest", of: root)
            containers = try Self.subdirectory("containers", of: root)
            trash = try Self.subdirectory("trash", of: root)
        } catch let error as SystemError {
            throw ImageError(error, "open the image store \(path)")
        } catch {
            throw ImageError(.system, "open the image store \(path)", "\(error)")
        }
        if cleansUp { try collectGarbage() }
    }

    private static func subdirectory(_ names: String..., of root: SharedDirectory) throws -> SharedDirectory {
        var directory = root
        for name in names {
            do {
                try directory.handle.makeDirectory(name, permissions: 0o700)
            } catch {
                guard error.isExisting else { throw error }
            }
            directory = SharedDirectory(try directory.handle.openDirectory(name))
        }
        return directory
    }

    /// Runs `body` while no other process or thread changes the store. Keep it short.
    func withLock<Result>(_ body: () throws -> Result) throws -> Result {
        let file = SharedFile(try root.handle.openOrCreateFile("lock"))
        try file.descriptor.lock(exclusively: true, "\(path)/lock")
        return try withExtendedLifetime(file, body)
    }

    /// A name that nobody else uses.
    static func uniqueName() throws -> String { hexadecimal(try randomBytes(count: 12)) }
}

// MARK: - The list of images

extension ImageStore {
    /// All images.
    package func images() throws(ImageError) -> [Image] {
        try translating("read the list of images") {
            guard let status = try root.handle.status(of: Self.list) else { return [] }
            if let known = cached.withLock({ $0 }), known.file == status { return known.images }
            let images = try readImages()
            cached.withLock { $0 = (status, images) }
            return images
        }
    }

    private func readImages() throws -> [Image] {
        guard try root.handle.status(of: Self.list) != nil else { return [] }
        let file = SharedFile(try root.handle.openFile(Self.list))
        let bytes = try file.descriptor.bytes(limit: 64 << 20, Self.list)
        do {
            return try JSON.parse(bytes)["images"]?.elements.map { try Image(json: $0) } ?? []
        } catch {
            throw ImageError(
                .malformed, "read \(path)/\(Self.list)", "\(error)",
                remedy: "remove the file; images must be pulled or imported again then")
        }
    }

    /// Replaces the list; the caller holds the lock.
    func writeImages(_ images: [Image]) throws {
        let document: JSON = ["version": 1, "images": .array(images.map(\.json))]
        try replace(Self.list, in: root, with: document.serialized())
    }

    /// Changes the list under the lock; nothing is written where nothing changes.
    func updateImages<Result>(_ change: (inout [Image]) throws -> Result) throws -> Result {
        try withLock {
            let old = try readImages()
            var new = old
            let result = try change(&new)
            if new != old { try writeImages(new) }
            return result
        }
    }

    /// Writes a file so that after any crash its old or its new content is there, whole.
    func replace(_ name: String, in directory: SharedDirectory, with bytes: [UInt8]) throws {
        let temporary = ".\(name).\(try Self.uniqueName())"
        let file = SharedFile(try directory.handle.createFile(temporary, permissions: 0o644))
        do {
            try bytes.withUnsafeBytes { try file.descriptor.write($0, name) }
            try file.descriptor.synchronize(name)
            try directory.handle.rename(temporary, to: name, in: directory.handle)
        } catch {
            // The first error is the one to report; collection removes the temporary file otherwise.
            try? directory.handle.removeFile(temporary)
            throw error
        }
        try directory.handle.descriptor.synchronize(directory.handle.path)
    }
}

// MARK: - Blobs

extension ImageStore {
    /// A manifest or configuration by digest.
    package func blob(_ digest: Digest) throws(ImageError) -> [UInt8] {
        let bytes = try translating("read blob \(digest)") {
            let file = SharedFile(try blobs.handle.openFile(digest.hex))
            return try file.descriptor.bytes(limit: limits.configurationBytes, "blobs/sha256/\(digest.hex)")
        }
        guard Digest(of: bytes) == digest else {
            throw ImageError(
                .digestMismatch, "read blob \(digest)", "its content has changed on disk",
                remedy: "remove the image and pull it again; check the disk")
        }
        return bytes
    }

    /// Keeps a manifest or configuration; the caller's lease protects it.
    func addBlob(_ bytes: [UInt8]) throws -> Digest {
        let digest = Digest(of: bytes)
        if try blobs.handle.status(of: digest.hex) == nil { try replace(digest.hex, in: blobs, with: bytes) }
        return digest
    }

    /// Whether a layer is unpacked.
    func hasLayer(_ chainID: Digest) throws -> Bool { try layers.handle.status(of: chainID.hex) != nil }

    /// What a layer is.
    func layerRecord(_ chainID: Digest) throws -> LayerRecord {
        let layer = try layers.handle.openDirectory(chainID.hex)
        let file = SharedFile(try layer.openFile(LayerDirectory.record))
        return try LayerRecord(json: JSON.parse(try file.descriptor.bytes(limit: 65536, LayerDirectory.record)))
    }
}
