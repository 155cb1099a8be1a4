// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore
import Synchronization

/// Unpacks a layer while it arrives: in one pass over the compressed bytes it computes their digest, decompresses them,
/// computes the digest of the tar (the diffID), writes the files and records what an export needs.
///
/// Memory does not depend on the layer's size. The files are only as trustworthy as the archive until the caller has
/// compared the digests in ``finish()``; it unpacks to a temporary directory that is thrown away otherwise.
/// Blocking; meant to be fed from a thread that may block, by one caller at a time.
final class LayerUnpacker: Sendable {
    /// What came out.
    struct Outcome: Sendable {
        /// Of the bytes as they came.
        let digest: Digest
        let size: UInt64
        /// Of the uncompressed tar.
        let diffID: Digest
        let tarBytes: UInt64
        /// What the layer takes up on disk.
        let diskBytes: UInt64
        let leftovers: LayerExtractor.Leftovers
    }

    private let state: Mutex<LayerPipeline>

    /// Unpacks into `layer`, an empty directory of our own.
    init(layer: borrowing DirectoryHandle, limits: ImageLimits, expectedSize: UInt64?) throws {
        let pipeline = try LayerPipeline(layer: layer, limits: limits, expectedSize: expectedSize)
        state = Mutex(pipeline)
    }

    /// Takes the next bytes of the layer as they came.
    func feed(_ bytes: ByteBuffer) throws {
        try state.withLock { pipeline in
            try bytes.withUnsafeReadableBytes { try pipeline.feed($0) }
        }
    }

    /// Says that the layer is complete.
    func finish() throws -> Outcome { try state.withLock { try $0.finish() } }
}

/// The state of a ``LayerUnpacker``.
private final class LayerPipeline {
    private var digest: StreamDigest
    private let decompressor = Decompressor()
    private let tar: TarStage
    private let expectedSize: UInt64?

    init(layer: borrowing DirectoryHandle, limits: ImageLimits, expectedSize: UInt64?) throws {
        digest = try StreamDigest()
        tar = try TarStage(layer: layer, limits: limits)
        self.expectedSize = expectedSize
    }

    func feed(_ bytes: UnsafeRawBufferPointer) throws {
        digest.update(bytes)
        if let expectedSize, digest.count > expectedSize {
            throw ImageError(
                .digestMismatch, "", "the layer is longer than the \(expectedSize) bytes its manifest says")
        }
        try decompressor.feed(bytes) { try tar.feed($0) }
    }

    func finish() throws -> LayerUnpacker.Outcome {
        if let expectedSize, digest.count < expectedSize {
            throw ImageError(
                .digestMismatch, "",
                "the layer has \(digest.count) bytes instead of the \(expectedSize) its manifest says")
        }
        try decompressor.finish { try tar.feed($0) }
        let (diffID, tarBytes) = try tar.finish()
        // A digest can be finished once; a fresh one takes its place.
        var finished = try StreamDigest()
        swap(&finished, &digest)
        let (blob, size) = finished.finish()
        return LayerUnpacker.Outcome(
            digest: blob, size: size, diffID: diffID, tarBytes: tarBytes, diskBytes: tar.diskBytes,
            leftovers: tar.extractor.leftovers)
    }
}

/// From the uncompressed tar on.
private final class TarStage {
    private var digest: StreamDigest
    private var parser = TarParser()
    private var sink: LayerSink
    private let limit: UInt64

    init(layer: borrowing DirectoryHandle, limits: ImageLimits) throws {
        digest = try StreamDigest()
        sink = try LayerSink(layer: layer, limits: limits)
        limit = limits.layerBytes
    }

    var extractor: LayerExtractor { sink.extractor }
    var diskBytes: UInt64 { sink.extractor.diskBytes + sink.split.count }

    func feed(_ bytes: UnsafeRawBufferPointer) throws {
        digest.update(bytes)
        guard digest.count <= limit else {
            throw ImageError(.malformed, "", "the layer has more than \(limit >> 30) GiB uncompressed")
        }
        try parser.feed(bytes, into: &sink)
    }

    func finish() throws -> (digest: Digest, count: UInt64) {
        try parser.finish()
        try sink.split.finish()
        try sink.extractor.finish()
        var finished = try StreamDigest()
        swap(&finished, &digest)
        return finished.finish()
    }
}

/// Hands members to the extractor and everything else to the tar record.
private struct LayerSink: TarSink {
    let extractor: LayerExtractor
    let split: TarSplitWriter

    init(layer: borrowing DirectoryHandle, limits: ImageLimits) throws {
        try layer.makeDirectory(LayerDirectory.files)
        try layer.makeDirectory(LayerDirectory.replaced, permissions: 0o700)
        extractor = try LayerExtractor(layer: layer, limits: limits)
        split = try TarSplitWriter(SharedFile(try layer.createFile(LayerDirectory.split)))
    }

    func raw(_ bytes: UnsafeRawBufferPointer) throws { try split.raw(bytes) }

    func begin(_ entry: TarEntry) throws -> Bool {
        let isWanted = try extractor.begin(entry) { try split.moved(path: $0) }
        if isWanted { try split.content(path: try LayerPath(entry.path).text, size: entry.size) }
        return isWanted
    }

    func content(_ bytes: UnsafeRawBufferPointer) throws { try extractor.write(bytes) }

    func end() throws { try extractor.end() }
}
