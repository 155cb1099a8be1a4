// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import Storage
import Synchronization

/// Writes a watch to its connection: one loop, which ends with the connection or the watch's time.
struct WatchBody: Sendable {
    let watch: ObjectWatch
    let presentation: Presentation
    let registry: Registry
    let allowsBookmarks: Bool
    let duration: Duration

    /// The time between bookmarks (upstream: about a minute).
    private static let bookmarkInterval = Duration.seconds(60)
    /// Events are written together up to this many bytes.
    private static let chunkBytes = 256 << 10

    /// Writes events until the watch is over.
    func write(to writer: any HTTPBodyWriter) async throws {
        var encoder = WatchEventEncoder(presentation: presentation, registry: registry)
        do {
            try await writeInitialEvents(writer, &encoder)
            try await writeChanges(writer, &encoder)
        } catch is CancellationError {
            throw CancellationError()
        } catch let error as WriteFailure {
            throw error.cause
        } catch {
            // A watch that cannot go on says why in its last event.
            try await writer.write(
                WatchEventEncoder.failure(StatusTranslation.status(of: error), presentation.negotiated))
        }
    }

    /// The connection failed, which nobody can be told.
    private struct WriteFailure: Error {
        let cause: any Error
    }

    private static func send(_ buffer: ByteBuffer, _ writer: any HTTPBodyWriter) async throws {
        do {
            try await writer.write(buffer)
        } catch {
            throw WriteFailure(cause: error)
        }
    }

    private func writeInitialEvents(_ writer: any HTTPBodyWriter, _ encoder: inout WatchEventEncoder) async throws {
        var buffer = ByteBuffer()
        for event in watch.initial {
            try encoder.append(event, to: &buffer)
            if buffer.readableBytes >= Self.chunkBytes {
                try await Self.send(buffer, writer)
                buffer = ByteBuffer()
            }
        }
        if watch.marksInitialEnd {
            try encoder.appendBookmark(watch.startRevision, endsInitialEvents: true, to: &buffer)
        }
        // Even an empty write sends the header, by which the client knows that the watch stands.
        try await Self.send(buffer, writer)
    }

    /// Writes changes period by period: a bookmark may only be made when no change is on its way.
    private func writeChanges(_ writer: any HTTPBodyWriter, _ encoder: inout WatchEventEncoder) async throws {
        let clock = ContinuousClock()
        let end = clock.now + duration
        while true {
            let now = clock.now
            guard now < end else { return }
            let period = min(Self.bookmarkInterval, end - now)
            let (isOver, newEncoder) = try await pump(writer, encoder, for: period)
            encoder = newEncoder
            if isOver { return }
            if allowsBookmarks {
                var buffer = ByteBuffer()
                try encoder.appendBookmark(watch.deliveredRevision, endsInitialEvents: false, to: &buffer)
                try await Self.send(buffer, writer)
            }
        }
    }

    /// A time between two bookmarks. Its end waits for a write that is on its way: to cancel that would tear the connection of a
    /// client that is merely slow.
    private final class Period: Sendable {
        let isOver = Atomic(false)
    }

    /// Writes changes for a time; true when there will be no more.
    private func pump(
        _ writer: any HTTPBodyWriter, _ encoder: WatchEventEncoder, for period: Duration
    ) async throws -> (Bool, WatchEventEncoder) {
        let current = Period()
        return try await withThrowingTaskGroup(of: (Bool, WatchEventEncoder)?.self) { group in
            group.addTask {
                var encoder = encoder
                while !current.isOver.load(ordering: .relaxed) {
                    do {
                        guard let events = try await watch.next() else { return (true, encoder) }
                        var buffer = ByteBuffer()
                        for event in events { try encoder.append(event, to: &buffer) }
                        guard buffer.readableBytes > 0 else { continue }
                        try await Self.send(buffer, writer)
                        // The first change of a quiet time goes out at once; those of a busy time go together.
                        await writer.rest()
                    } catch is CancellationError {
                        // The request is over.
                        return (false, encoder)
                    }
                }
                return (false, encoder)
            }
            group.addTask {
                do {
                    try await Task.sleep(for: period, tolerance: .seconds(2))
                } catch {
                    // There is nothing to wait for any more.
                    return nil
                }
                current.isOver.store(true, ordering: .relaxed)
                watch.interrupt()
                return nil
            }
            var outcome: (Bool, WatchEventEncoder)?
            while let finished = try await group.next() {
                guard let finished else { continue }
                outcome = finished
                group.cancelAll()
            }
            try Task.checkCancellation()
            return outcome ?? (true, encoder)
        }
    }
}

/// Encodes the events of one watch.
struct WatchEventEncoder: Sendable {
    let presentation: Presentation
    let registry: Registry
    private var hasSentColumns = false

    init(presentation: Presentation, registry: Registry) {
        self.presentation = presentation
        self.registry = registry
    }

    mutating func append(_ event: ObjectEvent, to buffer: inout ByteBuffer) throws(StatusError) {
        if presentation.isVerbatim, let value = event.value {
            buffer.reserveCapacity(minimumWritableBytes: value.bytes.count + 32)
            buffer.writeStaticString("{\"type\":\"")
            buffer.writeString(event.kind.rawValue)
            buffer.writeStaticString("\",\"object\":")
            buffer.writeBytes(value.bytes)
            buffer.writeStaticString("}\n")
            return
        }
        var object = event.object
        if object == nil, let value = event.value {
            object = try registry.decodeShared(value, as: presentation.served)
        }
        guard let object else { return }
        try append(event.kind.rawValue, json(object), to: &buffer)
    }

    private mutating func json(_ object: KubeObject) -> JSON {
        switch presentation.negotiated.representation {
        case .object: return object.json
        case .metadata(let version): return Presentation.metadata(object, version: version)
        case .table(let version):
            defer { hasSentColumns = true }
            return presentation.table(
                [object], metadata: ["resourceVersion": .string(object.resourceVersion)], version: version,
                hasColumns: !hasSentColumns)
        }
    }

    mutating func appendBookmark(
        _ revision: Revision, endsInitialEvents: Bool, to buffer: inout ByteBuffer
    ) throws(StatusError) {
        let object = Bookmarks.object(presentation.served, revision: revision, endsInitialEvents: endsInitialEvents)
        switch presentation.negotiated.representation {
        case .table(let version):
            // A bookmark's row carries the revision in its object.
            let table = presentation.table([], metadata: object.metadata, version: version, hasColumns: false)
            try append("BOOKMARK", table, to: &buffer)
        case .metadata(let version):
            try append("BOOKMARK", Presentation.metadata(object, version: version), to: &buffer)
        case .object: try append("BOOKMARK", object.json, to: &buffer)
        }
    }

    private func append(_ type: String, _ object: JSON, to buffer: inout ByteBuffer) throws(StatusError) {
        if presentation.negotiated.isProtobuf {
            do throws(ProtobufError) {
                buffer.writeBytes(KubeProtobuf.watchFrame(type: type, object: try KubeProtobuf.encode(object)))
            } catch {
                throw StatusTranslation.status(of: error)
            }
            return
        }
        let event: JSON = ["type": .string(type), "object": object]
        buffer.writeBytes(event.serialized())
        buffer.writeInteger(UInt8(ascii: "\n"))
    }

    static func failure(_ error: StatusError, _ form: Negotiated) -> ByteBuffer {
        // A status always has a protobuf form; were it not so, JSON would still say what went wrong.
        if form.isProtobuf, let status = try? KubeProtobuf.encode(error.json) {
            return ByteBuffer(bytes: KubeProtobuf.watchFrame(type: "ERROR", object: status))
        }
        let event: JSON = ["type": "ERROR", "object": error.json]
        return ByteBuffer(bytes: event.serialized() + [UInt8(ascii: "\n")])
    }
}
