// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOCore

/// The members of an image archive, for reading in any order.
///
/// An uncompressed file is read where it is. A pipe or a compressed file is first written, uncompressed, to a
/// temporary file of the store, because what a member is for stands in another member.
final class ArchiveReader: Sendable {
    /// One member.
    private struct Member: Sendable {
        let entry: TarEntry
        /// Where its content begins.
        let offset: UInt64
    }

    private let file: SharedFile
    private let subject: String
    private let members: [String: Member]

    /// Reads the table of contents.
    init(_ input: SharedFile, subject: String, session: IngestSession) throws {
        let (file, start) = try Self.seekable(input, subject, session)
        self.file = file
        self.subject = subject
        members = try Self.index(file, from: start, subject, session.store.limits)
    }

    func contains(_ path: String) -> Bool { members[path] != nil }

    /// A small member's content.
    func bytes(_ path: String, limit: Int) throws -> [UInt8] {
        let member = try resolve(path)
        guard member.entry.size <= UInt64(limit) else {
            throw ImageError(.malformed, "", "\"\(path)\" has \(member.entry.size) bytes, more than \(limit)")
        }
        let bytes = try file.descriptor.bytes(at: member.offset, limit: Int(member.entry.size), subject)
        guard bytes.count == Int(member.entry.size) else { throw Self.truncated }
        return bytes
    }

    /// A member's length.
    func size(_ path: String) throws -> UInt64 { try resolve(path).entry.size }

    /// A piece of a member's content; empty at its end.
    func piece(_ path: String, at offset: UInt64) throws -> ByteBuffer {
        let member = try resolve(path)
        let wanted = min(member.entry.size - min(offset, member.entry.size), 512 * 1024)
        let bytes = try file.descriptor.bytes(at: member.offset + offset, limit: Int(wanted), subject)
        guard bytes.count == Int(wanted) else { throw Self.truncated }
        return ByteBuffer(bytes: bytes)
    }

    private static var truncated: ImageError { ImageError(.malformed, "", "the archive ends too early") }

    /// The member at a path; links, which docker writes for equal layers, are followed.
    private func resolve(_ path: String) throws -> Member {
        var path = path
        for _ in 0..<8 {
            guard let member = members[path] else {
                throw ImageError(.malformed, "", "the archive has no member \"\(path)\"")
            }
            switch member.entry.kind {
            case .regular: return member
            case .hardLink: path = try LayerPath(member.entry.linkTarget).text
            case .symbolicLink: path = Self.join(try LayerPath(member.entry.path).parent, member.entry.linkTarget)
            default: throw ImageError(.malformed, "", "the archive's member \"\(path)\" is no file")
            }
        }
        throw ImageError(.malformed, "", "the archive's member \"\(path)\" links in a circle")
    }

    private static func join(_ directory: String, _ target: String) -> String {
        var parts = target.hasPrefix("/") ? [] : directory.split(separator: "/")
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return parts.joined(separator: "/")
    }
}

// MARK: - Opening

extension ArchiveReader {
    private static let chunk = 256 * 1024

    /// The archive as a file that can be read anywhere, and where in it the archive begins.
    private static func seekable(
        _ input: SharedFile, _ subject: String, _ session: IngestSession
    ) throws -> (file: SharedFile, start: UInt64) {
        if input.descriptor.isSeekable {
            let start = try input.descriptor.position(subject)
            let head = try input.descriptor.bytes(at: start, limit: 4, subject)
            let isCompressed = head.starts(with: [0x1F, 0x8B]) || head == [0x28, 0xB5, 0x2F, 0xFD]
            if !isCompressed { return (input, start) }
        }
        let copy = try session.makeFile()
        let limits = session.store.limits
        let decompressor = Decompressor()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunk, alignment: 16)
        defer { buffer.deallocate() }
        var written: UInt64 = 0
        var checked: UInt64 = 0
        let write = { (bytes: UnsafeRawBufferPointer) in
            written += UInt64(bytes.count)
            guard written <= limits.layerBytes else {
                throw ImageError(
                    .malformed, "", "the archive has more than \(limits.layerBytes >> 30) GiB uncompressed")
            }
            if written - checked >= 32 << 20 {
                checked = written
                guard try session.store.space().availableBytes >= limits.reservedDiskBytes else {
                    throw ImageError(.noSpace, "", "the disk is full", remedy: "free disk space")
                }
            }
            try copy.descriptor.write(bytes, "the copy of \(subject)")
        }
        while true {
            let count = try input.descriptor.read(into: buffer, subject)
            if count == 0 { break }
            try decompressor.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]), write)
        }
        try decompressor.finish(write)
        return (copy, 0)
    }

    private static func index(
        _ file: SharedFile, from start: UInt64, _ subject: String, _ limits: ImageLimits
    ) throws -> [String: Member] {
        var sink = IndexSink(limit: limits.archiveEntries)
        var parser = TarParser()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count = try file.descriptor.read(into: buffer, at: start + parser.position, subject)
            if count == 0 { break }
            try parser.feed(UnsafeRawBufferPointer(rebasing: buffer[..<count]), into: &sink)
            let rest = parser.skippable
            sink.position += rest
            parser.skip(rest)
        }
        try parser.finish()
        guard !sink.members.isEmpty else {
            throw ImageError(
                .malformed, "", "it is no tar archive, or an empty one",
                remedy: "give a file made by `docker save`, `podman save` or `swiftlet images export`")
        }
        return sink.members.mapValues { Member(entry: $0.entry, offset: start + $0.offset) }
    }

    private struct IndexSink: TarSink {
        let limit: Int
        /// Bytes of the archive so far.
        var position: UInt64 = 0
        var members: [String: (entry: TarEntry, offset: UInt64)] = [:]

        init(limit: Int) { self.limit = limit }

        mutating func raw(_ bytes: UnsafeRawBufferPointer) { position += UInt64(bytes.count) }

        mutating func begin(_ entry: TarEntry) throws -> Bool {
            guard members.count < limit else {
                throw ImageError(.malformed, "", "the archive has more than \(limit) members")
            }
            // A name that points out of the archive is of no use to anyone and is left out.
            if let path = try? LayerPath(entry.path), path.name != nil { members[path.text] = (entry, position) }
            return false
        }

        func content(_ bytes: UnsafeRawBufferPointer) {}
        func end() {}
    }
}
