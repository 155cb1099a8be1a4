// SPDX-License-Identifier: Apache-2.0

import JSON
import NIOCore
import OCISpec

/// An image that an archive holds, before its layers are looked at.
struct ArchivedImage: Sendable {
    /// The configuration's bytes.
    let configuration: [UInt8]
    /// The manifest's bytes; nil in docker archives, which have none.
    let manifest: [UInt8]?
    /// The members that hold the layers, the lowest first.
    let layerPaths: [String]
    /// The layers' digests as they are in the archive; nil in docker archives.
    let layerBlobs: [Digest]?
    /// The names that the archive gives, normalised and with tags.
    let names: [ImageReference]
    /// The digests of the documents that led to the manifest (an index): names with digests may use them.
    let topDigest: Digest?
}

/// Reads what images an archive holds: docker's format (`docker save`: `manifest.json`) and the OCI image layout
/// (image-spec, image-layout.md: `oci-layout`, `index.json`, `blobs/`).
struct ArchiveCatalog {
    let archive: ArchiveReader
    let platform: Platform
    let limits: ImageLimits
    /// The repository for OCI references that are only a tag, and the name of images without one.
    let defaultName: ImageReference?

    func images() throws -> [ArchivedImage] {
        if archive.contains("index.json"), archive.contains("oci-layout") {
            let images = try ociImages()
            // `docker save` writes both forms; only its manifest.json names images in a way that all versions agree on.
            guard archive.contains("manifest.json"), images.contains(where: \.names.isEmpty) else { return images }
        }
        if archive.contains("manifest.json") { return try dockerImages() }
        throw ImageError(
            .malformed, "", "the archive has neither manifest.json nor oci-layout and index.json",
            remedy: "give a file made by `docker save`, `podman save` or `swiftlet images export`")
    }
}

// MARK: - Docker's format

extension ArchiveCatalog {
    private func dockerImages() throws -> [ArchivedImage] {
        let json: JSON
        do {
            json = try JSON.parse(try archive.bytes("manifest.json", limit: limits.manifestBytes))
        } catch let error as JSONError {
            throw ImageError(.malformed, "", "manifest.json is malformed: \(error)")
        }
        guard let entries = json.array, !entries.isEmpty else {
            throw ImageError(.malformed, "", "manifest.json lists no image")
        }
        return try entries.map(dockerImage)
    }

    private func dockerImage(_ entry: JSON) throws -> ArchivedImage {
        guard let config = entry["Config"]?.string, let layers = entry["Layers"]?.array else {
            throw ImageError(.malformed, "", "manifest.json has an image without Config or Layers")
        }
        let tags = entry["RepoTags"]?.elements.compactMap(\.string) ?? []
        var names = try tags.map { try ImageReference(parsing: $0).withDefaultTag }
        if names.isEmpty, let defaultName { names = [defaultName.withDefaultTag] }
        return ArchivedImage(
            configuration: try archive.bytes(try LayerPath(config).text, limit: limits.configurationBytes),
            manifest: nil, layerPaths: try layers.map { try LayerPath($0.string ?? "").text }, layerBlobs: nil,
            names: names, topDigest: nil)
    }
}

// MARK: - The OCI image layout

extension ArchiveCatalog {
    private func ociImages() throws -> [ArchivedImage] {
        let bytes = try archive.bytes("index.json", limit: limits.manifestBytes)
        let index = try ImageIndex.parsed(bytes, "index.json")
        guard !index.manifests.isEmpty else { throw ImageError(.malformed, "", "index.json lists no image") }
        // Entries of one image for several platforms have no names of their own or the same one: the best one counts.
        var groups: [(name: ImageReference?, entries: [Descriptor])] = []
        for entry in index.manifests {
            let name = try self.name(of: entry)
            if let position = groups.firstIndex(where: { $0.name == name && entry.platform != nil }) {
                groups[position].entries.append(entry)
            } else {
                groups.append((name, [entry]))
            }
        }
        var images: [ArchivedImage] = []
        for group in groups {
            let choice = ImageIndex(manifests: group.entries)
            let image = try ociImage(try choose(choice), group.name)
            if let same = images.firstIndex(where: { $0.manifest == image.manifest }) {
                images[same] = images[same].adding(image.names)
            } else {
                images.append(image)
            }
        }
        return images
    }

    private func choose(_ index: ImageIndex) throws -> Descriptor {
        guard let best = index.bestManifest(for: platform) else {
            throw ImageError(
                .noMatchingPlatform, "",
                "no matching manifest for \(platform.text) in the archive (there are: \(index.platformList))",
                remedy: "use an image that is built for \(platform.text)")
        }
        return best
    }

    private func ociImage(_ entry: Descriptor, _ name: ImageReference?) throws -> ArchivedImage {
        let top = try Digest(entry.digest)
        var digest = top
        var bytes = try blob(digest, limit: limits.manifestBytes)
        for _ in 0...ImagePull.maximumIndexDepth where try isIndex(bytes) {
            digest = try Digest(try choose(try ImageIndex.parsed(bytes, "index \(digest)")).digest)
            bytes = try blob(digest, limit: limits.manifestBytes)
        }
        let manifest = try ImageManifest.parsed(bytes, "manifest \(digest)")
        let layers = try manifest.layers.map { try Digest($0.digest) }
        return ArchivedImage(
            configuration: try blob(try Digest(manifest.config.digest), limit: limits.configurationBytes),
            manifest: bytes, layerPaths: layers.map { "blobs/sha256/\($0.hex)" }, layerBlobs: layers,
            names: name.map { [$0] } ?? [], topDigest: top)
    }

    private func isIndex(_ bytes: [UInt8]) throws -> Bool {
        do {
            return try JSON.parse(bytes)["manifests"] != nil
        } catch {
            throw ImageError(.malformed, "", "a manifest of the archive is malformed: \(error)")
        }
    }

    private func blob(_ digest: Digest, limit: Int) throws -> [UInt8] {
        let bytes = try archive.bytes("blobs/sha256/\(digest.hex)", limit: limit)
        let found = Digest(of: bytes)
        guard found == digest else {
            throw ImageError(
                .digestMismatch, "", "the archive's blob \(digest) has the content of \(found)",
                remedy: "the archive is damaged; make it again")
        }
        return bytes
    }

    /// containerd's full name, else the OCI annotation, which is a full name (podman) or only a tag (skopeo, docker).
    private func name(of entry: Descriptor) throws -> ImageReference? {
        if let name = entry.annotations["io.containerd.image.name"] { return try reference(name) }
        guard let name = entry.annotations["org.opencontainers.image.ref.name"], !name.isEmpty else {
            return defaultName?.withDefaultTag
        }
        if name.contains("/") || name.contains(":") { return try reference(name) }
        guard let defaultName else { return nil }
        return try ImageReference(parsing: "\(defaultName.repository):\(name)")
    }

    private func reference(_ name: String) throws -> ImageReference { try ImageReference(parsing: name).withDefaultTag }
}

extension ArchivedImage {
    fileprivate func adding(_ more: [ImageReference]) -> ArchivedImage {
        ArchivedImage(
            configuration: configuration, manifest: manifest, layerPaths: layerPaths, layerBlobs: layerBlobs,
            names: names + more.filter { !names.contains($0) }, topDigest: topDigest)
    }
}

/// Brings the images of an archive into the store.
struct ArchiveImport: Sendable {
    let session: IngestSession
    let archive: ArchiveReader
    let platform: Platform
    let progress: ProgressMeter

    private var store: ImageStore { session.store }

    /// Imports one image.
    func run(_ archived: ArchivedImage) async throws(ImageError) -> Image {
        let config = try ImageConfig.parsed(archived.configuration, "image configuration")
        try config.checkPlatform(platform)
        let diffIDs = try config.layerDigests(limit: store.limits.layers)
        guard diffIDs.count == archived.layerPaths.count else {
            throw ImageError(
                .malformed, "",
                "the archive has \(archived.layerPaths.count) layers for an image of \(diffIDs.count)")
        }
        let chain = LayerRecord.chainIDs(of: diffIDs)
        let sizes = try await blocking("read the archive") { [archive] in
            try archived.layerPaths.map { try archive.size($0) }
        }
        var layers: [LayerIngest.Layer] = []
        for (index, diffID) in diffIDs.enumerated() {
            layers.append(
                .init(
                    diffID: diffID, chainID: chain[index], blob: archived.layerBlobs?[index], size: sizes[index]))
        }
        let archive = archive
        let ingest = LayerIngest(session: session, layers: layers, progress: progress) {
            index, consume throws(ImageError) in
            var offset: UInt64 = 0
            while true {
                let position = offset
                let path = archived.layerPaths[index]
                let piece = try await blocking("read the archive") { try archive.piece(path, at: position) }
                if piece.readableBytes == 0 { return }
                offset += UInt64(piece.readableBytes)
                try await consume(piece)
            }
        }
        try await ingest.run()
        return try await blocking("record the image") { try record(archived, config, chain) }
    }

    private func record(_ archived: ArchivedImage, _ config: ImageConfig, _ chain: [Digest]) throws -> Image {
        let id = Digest(of: archived.configuration)
        let manifestBytes =
            try archived.manifest
            ?? store.uncompressedManifest(configuration: archived.configuration, layers: chain).serialized()
        let manifest = Digest(of: manifestBytes)
        try session.protect(blobs: [id, manifest])
        var image = try store.makeImage(
            id: id, manifest: manifest, layers: chain, user: config.config?.user ?? "",
            blobs: [archived.configuration, manifestBytes])
        image.names = archived.names.map(\.description).sorted()
        image.digests = Set(archived.names.map { "\($0.repository)@\(archived.topDigest ?? manifest)" }).sorted()
        try store.record(image)
        return image
    }
}

extension ImageStore {
    /// The manifest of an image with its layers uncompressed: what an export holds, and a docker archive's import means.
    func uncompressedManifest(configuration: [UInt8], layers: [Digest]) throws -> ImageManifest {
        let descriptors = try layers.map { chainID in
            let record = try layerRecord(chainID)
            return Descriptor(
                mediaType: MediaType.ociLayer, digest: record.diffID.description, size: Int64(clamping: record.tarBytes)
            )
        }
        let config = Descriptor(
            mediaType: MediaType.ociConfig, digest: Digest(of: configuration).description,
            size: Int64(configuration.count))
        return ImageManifest(config: config, layers: descriptors)
    }
}
