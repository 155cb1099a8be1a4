// SPDX-License-Identifier: Apache-2.0

import CZlib
import CZstd

/// Undoes gzip (RFC 1952) or zstd (RFC 8878) compression of a stream, or passes plain data on.
///
/// The format is found from the first bytes, because the media types that registries give are not always right.
/// Several gzip members or zstd frames in a row are one stream, as in seekable (eStargz) layers.
final class Decompressor {
    /// How the stream is compressed.
    enum Format { case plain, gzip, zstd }

    /// The largest zstd window, 2^25 = 32 MiB: what `zstd -19` and every image builder stay below. It bounds our memory.
    static let zstdWindowLogMaximum: CInt = 25
    private static let outputSize = 128 * 1024

    /// Nil until the first four bytes are there.
    private(set) var format: Format?
    private var head: [UInt8] = []
    /// Whether the stream may end here: between members or frames.
    private var isAtBoundary = true
    private let zlib: UnsafeMutablePointer<z_stream>
    private var isZlibOpen = false
    private var zstd: OpaquePointer?
    private let output: UnsafeMutableRawBufferPointer

    init() {
        zlib = .allocate(capacity: 1)
        zlib.initialize(to: z_stream())
        output = .allocate(byteCount: Self.outputSize, alignment: 16)
    }

    deinit {
        if isZlibOpen { inflateEnd(zlib) }
        if let zstd { ZSTD_freeDCtx(zstd) }
        zlib.deallocate()
        output.deallocate()
    }

    /// Takes the next bytes of the stream and hands the data in them to `emit`, in pieces.
    func feed(_ input: UnsafeRawBufferPointer, _ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        if let format {
            try feed(input, as: format, emit)
            return
        }
        head.append(contentsOf: input)
        guard head.count >= 4 else { return }
        try startFormat(emit)
    }

    /// Says that the stream is over; an error where it is cut off.
    func finish(_ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        if format == nil { try startFormat(emit) }
        guard isAtBoundary else { throw Self.broken("the compressed data ends too early") }
    }

    private func startFormat(_ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        let found = Self.detect(head)
        format = found
        switch found {
        case .plain: break
        case .gzip:
            // 15 + 16: the largest window, and a gzip header.
            let result = inflateInit2_(zlib, 31, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
            guard result == Z_OK else { throw Self.broken("zlib cannot start (code \(result))") }
            isZlibOpen = true
        case .zstd:
            guard let context = ZSTD_createDCtx() else { throw Self.broken("zstd cannot start: out of memory") }
            zstd = context
            ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, Self.zstdWindowLogMaximum)
        }
        let bytes = head
        head = []
        try bytes.withUnsafeBytes { try feed($0, as: found, emit) }
    }

    private static func detect(_ head: [UInt8]) -> Format {
        if head.starts(with: [0x1F, 0x8B]) { return .gzip }
        if head.starts(with: [0x28, 0xB5, 0x2F, 0xFD]) { return .zstd }
        // A skippable frame.
        if head.count >= 4, head[0] & 0xF0 == 0x50, head[1...3].elementsEqual([0x2A, 0x4D, 0x18]) { return .zstd }
        return .plain
    }

    private func feed(
        _ input: UnsafeRawBufferPointer, as format: Format, _ emit: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        if input.isEmpty { return }
        switch format {
        case .plain: try emit(input)
        case .gzip: try inflate(input, emit)
        case .zstd: try decompressZstd(input, emit)
        }
    }

    private func inflate(_ input: UnsafeRawBufferPointer, _ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        // zlib does not write through next_in; its type only lacks the const.
        zlib.pointee.next_in = UnsafeMutableRawPointer(mutating: input.baseAddress)?
            .assumingMemoryBound(to: Bytef.self)
        zlib.pointee.avail_in = uInt(input.count)
        var isOutputFull = false
        while zlib.pointee.avail_in > 0 || isOutputFull {
            if isAtBoundary {
                if zlib.pointee.avail_in == 0 { return }
                inflateReset(zlib)
                isAtBoundary = false
            }
            zlib.pointee.next_out = output.baseAddress?.assumingMemoryBound(to: Bytef.self)
            zlib.pointee.avail_out = uInt(output.count)
            let result = CZlib.inflate(zlib, Z_NO_FLUSH)
            let count = output.count - Int(zlib.pointee.avail_out)
            isOutputFull = count == output.count
            if count > 0 { try emit(UnsafeRawBufferPointer(rebasing: output[..<count])) }
            switch result {
            case Z_OK: break
            case Z_STREAM_END:
                isAtBoundary = true
                isOutputFull = false
            // No progress was possible: all input is used up and no output was pending.
            case Z_BUF_ERROR: return
            default:
                let reason = zlib.pointee.msg.map { String(cString: $0) } ?? "code \(result)"
                throw Self.broken("the gzip data is broken: \(reason)")
            }
        }
    }

    private func decompressZstd(
        _ input: UnsafeRawBufferPointer, _ emit: (UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
        var isOutputFull = false
        while source.pos < source.size || isOutputFull {
            var target = ZSTD_outBuffer(dst: output.baseAddress, size: output.count, pos: 0)
            let result = ZSTD_decompressStream(zstd, &target, &source)
            if ZSTD_isError(result) != 0 {
                throw Self.broken("the zstd data is broken: \(String(cString: ZSTD_getErrorName(result)))")
            }
            // 0: a frame is complete and flushed.
            isAtBoundary = result == 0
            // A complete frame has nothing left to flush.
            isOutputFull = target.pos == target.size && result != 0
            if target.pos > 0 { try emit(UnsafeRawBufferPointer(rebasing: output[..<target.pos])) }
        }
    }

    private static func broken(_ reason: String) -> ImageError { ImageError(.malformed, "", reason) }
}
