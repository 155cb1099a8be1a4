// SPDX-License-Identifier: Apache-2.0

import NIOCore
import OCISpec

/// Brings the layers of one image into the store, whatever they come from, and records the image.
struct LayerIngest: Sendable {
    /// Layers that are fetched and unpacked at the same time, for one image.
    static let concurrency = 3

    /// One layer of the image.
    struct Layer: Sendable {
        let diffID: Digest
        let chainID: Digest
        /// The digest of the bytes that are fetched; nil where only the diffID is known (docker archives).
        let blob: Digest?
        /// The bytes' number, where it is known.
        let size: UInt64?
    }

    /// Hands a layer's bytes to the closure, in order.
    typealias Fetch =
        @Sendable (
            _ index: Int, _ consume: @Sendable (ByteBuffer) async throws(ImageError) -> Void
        ) async throws(ImageError) -> Void

    let session: IngestSession
    let layers: [Layer]
    let progress: ProgressMeter
    let fetch: Fetch

    /// A layer that is unpacked in the session's directory.
    private struct Unpacked: Sendable {
        let index: Int
        let name: String
        let directory: SharedDirectory
        let outcome: LayerUnpacker.Outcome
    }

    /// Fetches the layers that are missing; afterwards all are in the store, protected by the session's lease.
    ///
    /// Layers are unpacked in any order and put in place from the lowest up, each as soon as those below are there: what
    /// is complete when a later one fails need not be fetched again.
    func run() async throws(ImageError) {
        let present = try await blocking("look for the image's layers") {
            try session.protect(layers: layers.map(\.chainID))
            return try layers.map { try session.store.hasLayer($0.chainID) }
        }
        let missing = layers.indices.filter { !present[$0] }
        progress.start(
            layersDone: layers.count - missing.count, layersTotal: layers.count,
            bytesTotal: missing.reduce(0) { $0 + (layers[$1].size ?? 0) })
        do {
            try await withThrowingTaskGroup(of: Unpacked.self) { group in
                var waiting = missing[...]
                var unpacked: [Int: Unpacked] = [:]
                var committed = missing[...]
                for index in waiting.prefix(Self.concurrency) { group.addTask { try await unpack(index) } }
                waiting = waiting.dropFirst(Self.concurrency)
                while let layer = try await group.next() {
                    unpacked[layer.index] = layer
                    if let next = waiting.popFirst() { group.addTask { try await unpack(next) } }
                    while let next = committed.first, let ready = unpacked.removeValue(forKey: next) {
                        committed = committed.dropFirst()
                        try await commit(ready)
                    }
                }
            }
        } catch let error as ImageError {
            throw error
        } catch {
            throw ImageError(.unavailable, "", "the pull was cancelled")
        }
    }

    private func unpack(_ index: Int) async throws(ImageError) -> Unpacked {
        let layer = layers[index]
        let operation = "unpack layer \(layer.blob ?? layer.diffID)"
        let store = session.store
        let (name, directory, unpacker) = try await blocking(operation) {
            let (name, directory) = try session.makeLayerDirectory()
            let unpacker = try LayerUnpacker(
                layer: directory.handle, limits: store.limits, expectedSize: layer.blob == nil ? nil : layer.size)
            return (name, directory, unpacker)
        }
        do {
            try await fetch(index) { bytes throws(ImageError) in
                try await blocking(operation) { try unpacker.feed(bytes) }
                progress.received(bytes.readableBytes)
            }
            let outcome = try await blocking(operation) { try unpacker.finish() }
            try Self.verify(outcome, layer)
            return Unpacked(index: index, name: name, directory: directory, outcome: outcome)
        } catch {
            session.discardLayer(name)
            throw error.operation.isEmpty ? error.wrapped(operation) : error
        }
    }

    private static func verify(_ outcome: LayerUnpacker.Outcome, _ layer: Layer) throws(ImageError) {
        if let blob = layer.blob, outcome.digest != blob {
            throw RegistryClient.mismatch("layer", blob, outcome.digest)
        }
        guard outcome.diffID == layer.diffID else {
            throw ImageError(
                .digestMismatch, "",
                "the uncompressed layer has the digest \(outcome.diffID), but the image's configuration says \(layer.diffID)",
                remedy: "the image is broken; ask its publisher")
        }
    }

    private func commit(_ layer: Unpacked) async throws(ImageError) {
        let below = layers[..<layer.index].map(\.chainID)
        let chainID = layers[layer.index].chainID
        let session = session
        try await blocking("store layer \(chainID)") {
            let commit = LayerCommit(
                session: session, name: layer.name, directory: layer.directory, outcome: layer.outcome, below: below)
            try commit.commit(as: chainID)
        }
        progress.layerDone()
    }
}

extension ImageConfig {
    /// The layers' digests, checked.
    func layerDigests(limit: Int) throws(ImageError) -> [Digest] {
        guard rootfs.diffIDs.count <= limit else {
            throw ImageError(
                .malformed, "", "the image has \(rootfs.diffIDs.count) layers; at most \(limit) are possible")
        }
        var digests: [Digest] = []
        for text in rootfs.diffIDs { digests.append(try Digest(text)) }
        return digests
    }

    /// Refuses an image that cannot run on `platform`.
    func checkPlatform(_ platform: Platform) throws(ImageError) {
        // Images made from scratch may not say what they are for.
        guard !architecture.isEmpty, !os.isEmpty else { return }
        let own = Platform(architecture: architecture, os: os, variant: variant)
        guard platform.rank(of: own) == nil else { return }
        throw ImageError(
            .noMatchingPlatform, "",
            "no matching manifest for \(platform.text): the image is for \(own.text) only",
            remedy: "use an image that is built for \(platform.text)")
    }
}
