// SPDX-License-Identifier: Apache-2.0

import JSON
import OCISpec

/// One pull of one image from its registry into the store.
struct ImagePull: Sendable {
    let store: ImageStore
    let reference: ImageReference
    let platform: Platform
    let client: RegistryClient
    let progress: ProgressMeter

    /// An index in an index is legal; more than this is not meant seriously.
    static let maximumIndexDepth = 3

    func run() async throws(ImageError) -> Image {
        do {
            return try await pull()
        } catch {
            throw error.wrapped("pull and unpack image \"\(reference)\"")
        }
    }

    private func pull() async throws(ImageError) -> Image {
        let (top, manifest) = try await resolve()
        if let known = try await knownImage(manifest.digest) {
            let image = named(known, top.digest)
            try await blocking("record the image") { try store.record(image) }
            return image
        }
        let (config, configBytes) = try await configuration(manifest)
        let session = try await blocking("start a pull") { try IngestSession(store: store) }
        do {
            let image = try await ingest(session, top, manifest, config, configBytes)
            await close(session)
            return image
        } catch {
            await close(session)
            throw error
        }
    }

    private func close(_ session: IngestSession) async {
        // Nothing is thrown: what cannot be removed is collected later.
        try? await blocking("end a pull") { session.close() }
    }

    /// The document that the name means, and the manifest for our platform that it leads to.
    private func resolve() async throws(ImageError) -> (top: FetchedManifest, manifest: FetchedManifest) {
        do throws(ImageError) {
            let top = try await client.manifest(reference.digest?.description ?? reference.tag ?? "latest")
            var current = top
            for _ in 0...Self.maximumIndexDepth {
                guard try Self.isIndex(current) else { return (top, current) }
                current = try await client.manifest(choose(current))
            }
            throw ImageError(.malformed, "", "indexes are nested more than \(Self.maximumIndexDepth) deep")
        } catch {
            guard error.kind != .notFound else {
                throw ImageError(
                    .notFound, "resolve reference \"\(reference)\"", "\(reference): not found: \(error.reason)",
                    remedy: "check the image's name and tag")
            }
            throw error.operation.isEmpty ? error.wrapped("resolve reference \"\(reference)\"") : error
        }
    }

    /// What a document is, by its own word, else by the server's.
    private static func isIndex(_ document: FetchedManifest) throws(ImageError) -> Bool {
        let json = try ManifestProbe.parsed(document.bytes, "manifest \(document.digest)")
        let type = json.mediaType ?? document.mediaType
        if MediaType.isIndex(type) { return true }
        if MediaType.isManifest(type) { return false }
        guard json.schemaVersion == 2 else {
            throw ImageError(
                .unsupported, "", "the registry serves the image in the obsolete schema 1 (\(type))",
                remedy: "push the image again with a current tool")
        }
        return json.hasManifests
    }

    private func choose(_ document: FetchedManifest) throws(ImageError) -> String {
        let index = try ImageIndex.parsed(document.bytes, "index \(document.digest)")
        guard let best = index.bestManifest(for: platform) else {
            throw ImageError(
                .noMatchingPlatform, "",
                "no matching manifest for \(platform.text) in the manifest list entries (there are: \(index.platformList))",
                remedy: "use an image that is built for \(platform.text)")
        }
        return try Digest(best.digest).description
    }

    private func configuration(
        _ document: FetchedManifest
    ) async throws(ImageError) -> (config: ImageConfig, bytes: [UInt8]) {
        let manifest = try ImageManifest.parsed(document.bytes, "manifest \(document.digest)")
        let type = manifest.config.mediaType
        guard [MediaType.ociConfig, MediaType.dockerConfig, "application/octet-stream"].contains(type) else {
            throw ImageError(
                .unsupported, "", "the reference is no container image but \(manifest.artifactType ?? type)")
        }
        let bytes = try await client.blob(manifest.config)
        let config = try ImageConfig.parsed(bytes, "configuration \(manifest.config.digest)")
        try config.checkPlatform(platform)
        return (config, bytes)
    }

    private func ingest(
        _ session: IngestSession, _ top: FetchedManifest, _ document: FetchedManifest, _ config: ImageConfig,
        _ configBytes: [UInt8]
    ) async throws(ImageError) -> Image {
        let manifest = try ImageManifest.parsed(document.bytes, "manifest \(document.digest)")
        let diffIDs = try config.layerDigests(limit: store.limits.layers)
        guard diffIDs.count == manifest.layers.count else {
            throw ImageError(
                .malformed, "",
                "the manifest has \(manifest.layers.count) layers, but the configuration \(diffIDs.count)")
        }
        let chain = LayerRecord.chainIDs(of: diffIDs)
        var layers: [LayerIngest.Layer] = []
        for (index, descriptor) in manifest.layers.enumerated() {
            layers.append(
                .init(
                    diffID: diffIDs[index], chainID: chain[index], blob: try Digest(descriptor.digest),
                    size: UInt64(clamping: descriptor.size)))
        }
        let client = client
        let ingest = LayerIngest(session: session, layers: layers, progress: progress) {
            index, consume throws(ImageError) in
            try await client.download(manifest.layers[index], consume)
        }
        try await ingest.run()
        return try await blocking("record the image") {
            let id = Digest(of: configBytes)
            try session.protect(blobs: [id, document.digest])
            let image = named(
                try store.makeImage(
                    id: id, manifest: document.digest, layers: chain, user: config.config?.user ?? "",
                    blobs: [configBytes, document.bytes]),
                top.digest)
            try store.record(image)
            return image
        }
    }

    private func knownImage(_ manifest: Digest) async throws(ImageError) -> Image? {
        try await blocking("look for the image") {
            guard let image = try store.images().first(where: { $0.manifest == manifest }) else { return nil }
            return try image.layers.allSatisfy { try store.hasLayer($0) } ? image : nil
        }
    }

    /// The image with the names under which it was asked for.
    private func named(_ image: Image, _ digest: Digest) -> Image {
        var image = image
        image.digests = Set(image.digests).union(["\(reference.repository)@\(digest)"]).sorted()
        if reference.digest == nil {
            image.names = Set(image.names).union([reference.withDefaultTag.description]).sorted()
        }
        return image
    }
}

extension SpecValue {
    /// Parses a document and says which one it finds fault with.
    static func parsed(_ bytes: [UInt8], _ what: String) throws(ImageError) -> Self {
        do {
            return try Self(parsing: bytes)
        } catch {
            throw ImageError(.malformed, "", "the \(what) is malformed: \(error)")
        }
    }
}

/// The few fields that tell an index from a manifest.
private struct ManifestProbe: SpecValue {
    let schemaVersion: Int
    let mediaType: String?
    let hasManifests: Bool

    init(from reader: SpecReader) throws(OCISpecError) {
        schemaVersion = try reader.integer("schemaVersion") ?? 0
        mediaType = try reader.string("mediaType")
        hasManifests = reader.object.contains("manifests")
    }

    func write(to writer: inout SpecWriter) { writer.add("mediaType", mediaType) }
}

extension ImageStore {
    /// Keeps an image's documents and makes its entry for the list; the layers are there.
    func makeImage(
        id: Digest, manifest: Digest, layers: [Digest], user: String, blobs: [[UInt8]]
    ) throws -> Image {
        var size: UInt64 = 0
        for layer in layers { size += try layerRecord(layer).diskBytes }
        for blob in blobs {
            _ = try addBlob(blob)
            size += UInt64(blob.count)
        }
        return Image(
            id: id, manifest: manifest, names: [], digests: [], layers: layers, size: size, user: user)
    }
}
