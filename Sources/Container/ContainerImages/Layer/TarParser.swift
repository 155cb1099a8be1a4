// SPDX-License-Identifier: Apache-2.0

/// Reads a tar archive (POSIX.1-2001 ustar and pax, and GNU's and V7's older forms) from pieces of any size.
///
/// Knows no files: what it reads goes to a ``TarSink``. Memory is bounded by ``maximumMetadataSize``.
struct TarParser {
    static let blockSize = 512
    /// The most bytes of a long name or of pax records; Go's archive/tar has the same limit.
    static let maximumMetadataSize: UInt64 = 1 << 20

    private enum State {
        /// Collecting a header block.
        case header
        /// Collecting a long name or pax records: bytes still to come, then padding.
        case metadata(UInt8, remaining: UInt64)
        /// In a member's content.
        case content(remaining: UInt64, isWanted: Bool)
        /// In the padding after content or metadata.
        case padding(remaining: UInt64)
        /// After the end-of-archive mark; whatever follows is passed on.
        case ended
    }

    private var state = State.header
    private var block: [UInt8] = []
    private var metadata: [UInt8] = []
    private var pending = TarOverrides()
    private var zeroBlocks = 0
    private var paddingAfterContent: UInt64 = 0
    /// Bytes of the archive read so far.
    private(set) var position: UInt64 = 0

    init() { block.reserveCapacity(Self.blockSize) }

    /// The bytes of unwanted content that come next: a reader of a file may seek over them with ``skip(_:)``.
    var skippable: UInt64 {
        if case .content(let remaining, isWanted: false) = state { remaining } else { 0 }
    }

    /// Where the unwanted content that comes next begins.
    mutating func skip(_ count: UInt64) {
        guard case .content(let remaining, isWanted: false) = state, count <= remaining else { return }
        position += count
        advanceContent(by: count, of: remaining, isWanted: false)
    }

    /// Takes the next bytes of the archive.
    mutating func feed(_ bytes: UnsafeRawBufferPointer, into sink: inout some TarSink) throws {
        var rest = bytes
        while !rest.isEmpty {
            let count = try step(rest, into: &sink)
            position += UInt64(count)
            rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        }
    }

    /// Says that the archive is over; an error where it is cut off within a member.
    ///
    /// A missing end-of-archive mark is forgiven, as by upstream's reader.
    func finish() throws {
        switch state {
        case .ended: return
        case .header where block.isEmpty && !pending.isPending: return
        case .header, .metadata, .content, .padding: throw Self.broken("the tar archive ends within a member")
        }
    }

    /// Consumes some of `bytes` and returns how many.
    private mutating func step(_ bytes: UnsafeRawBufferPointer, into sink: inout some TarSink) throws -> Int {
        switch state {
        case .ended:
            try sink.raw(bytes)
            return bytes.count
        case .header:
            let part = bytes.prefix(Self.blockSize - block.count)
            block.append(contentsOf: part)
            try sink.raw(UnsafeRawBufferPointer(rebasing: part))
            if block.count == Self.blockSize { try parseHeader(into: &sink) }
            return part.count
        case .metadata(let type, let remaining):
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(clamping: remaining)))
            metadata.append(contentsOf: part)
            try sink.raw(part)
            if UInt64(part.count) == remaining {
                try pending.apply(type, metadata)
                metadata = []
                state = paddingAfterContent > 0 ? .padding(remaining: paddingAfterContent) : .header
            } else {
                state = .metadata(type, remaining: remaining - UInt64(part.count))
            }
            return part.count
        case .content(let remaining, let isWanted):
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(clamping: remaining)))
            if isWanted { try sink.content(part) } else { try sink.raw(part) }
            advanceContent(by: UInt64(part.count), of: remaining, isWanted: isWanted)
            if UInt64(part.count) == remaining { try sink.end() }
            return part.count
        case .padding(let remaining):
            let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(Int(clamping: remaining)))
            try sink.raw(part)
            let left = remaining - UInt64(part.count)
            state = left > 0 ? .padding(remaining: left) : .header
            return part.count
        }
    }

    private mutating func advanceContent(by count: UInt64, of remaining: UInt64, isWanted: Bool) {
        if count < remaining {
            state = .content(remaining: remaining - count, isWanted: isWanted)
        } else {
            state = paddingAfterContent > 0 ? .padding(remaining: paddingAfterContent) : .header
        }
    }

    private mutating func parseHeader(into sink: inout some TarSink) throws {
        defer { block.removeAll(keepingCapacity: true) }
        if block.allSatisfy({ $0 == 0 }) {
            zeroBlocks += 1
            if zeroBlocks == 2 { state = .ended }
            return
        }
        guard zeroBlocks == 0 else { throw Self.broken("the tar archive goes on after a block of zeros") }
        let header = TarHeaderBlock(block)
        try header.verifyChecksum(at: position)
        let size = try header.size()
        switch header.type {
        case UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L"), UInt8(ascii: "K"):
            guard size <= Self.maximumMetadataSize else {
                throw Self.broken("a tar header of \(size) bytes is too long")
            }
            paddingAfterContent = Self.padding(after: size)
            state = .metadata(header.type, remaining: size)
            if size == 0 {
                try pending.apply(header.type, [])
                state = .header
            }
        default: try beginMember(header, into: &sink)
        }
    }

    private mutating func beginMember(_ header: TarHeaderBlock, into sink: inout some TarSink) throws {
        var entry = try header.entry()
        try pending.override(&entry)
        pending = TarOverrides()
        let hasContent =
            switch entry.kind {
            case .regular, .unknown: entry.size > 0
            // POSIX: these have no content whatever the size field says (a hard link's may repeat its target's).
            case .hardLink, .symbolicLink, .characterDevice, .blockDevice, .directory, .fifo: false
            }
        if !hasContent { entry.size = 0 }
        let isWanted = try sink.begin(entry)
        guard hasContent else {
            state = .header
            try sink.end()
            return
        }
        paddingAfterContent = Self.padding(after: entry.size)
        state = .content(remaining: entry.size, isWanted: isWanted)
    }

    static func padding(after size: UInt64) -> UInt64 {
        let over = size % UInt64(blockSize)
        return over == 0 ? 0 : UInt64(blockSize) - over
    }

    static func broken(_ reason: String) -> ImageError { ImageError(.malformed, "", reason) }
}
