// SPDX-License-Identifier: Apache-2.0

import CZstd
import LinuxSystem

/// Keeps what unpacking loses of a tar archive: its headers, padding and order.
///
/// The compressed layer is not kept after it is unpacked (half the bytes written, a third of the space). With this
/// record, typically below 1 % of the layer, and the unpacked files the uncompressed tar can be made again byte by byte,
/// so that an exported image has the same identity. The file is a zstd stream of records:
/// `0x01 LENGTH BYTES` bytes as they were, `0x02 LENGTH SIZE PATH` the content of the file at a path, and
/// `0x03 LENGTH PATH` the file at a path has been moved to `replaced/N`, N counting these records from 0.
/// Lengths are LEB128.
enum TarSplit {
    static let raw: UInt8 = 1
    static let content: UInt8 = 2
    static let moved: UInt8 = 3
}

/// Writes a ``TarSplit`` file. Not thread-safe.
final class TarSplitWriter {
    private let file: SharedFile
    private let context: OpaquePointer
    private var pending: [UInt8] = []
    private var output: [UInt8]
    /// Bytes written to the file.
    private(set) var count: UInt64 = 0

    init(_ file: SharedFile) throws {
        guard let context = ZSTD_createCCtx() else {
            throw ImageError(.system, "", "zstd cannot start: out of memory")
        }
        ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, 3)
        // Headers repeat at short distances; a small window keeps memory small.
        ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 18)
        self.context = context
        self.file = file
        output = [UInt8](repeating: 0, count: 64 * 1024)
    }

    deinit { ZSTD_freeCCtx(context) }

    func raw(_ bytes: UnsafeRawBufferPointer) throws {
        pending.append(TarSplit.raw)
        append(UInt64(bytes.count))
        pending.append(contentsOf: bytes)
        try flushIfLarge()
    }

    func content(path: String, size: UInt64) throws {
        pending.append(TarSplit.content)
        append(UInt64(path.utf8.count))
        append(size)
        pending.append(contentsOf: path.utf8)
        try flushIfLarge()
    }

    func moved(path: String) throws {
        pending.append(TarSplit.moved)
        append(UInt64(path.utf8.count))
        pending.append(contentsOf: path.utf8)
        try flushIfLarge()
    }

    func finish() throws { try compress(ZSTD_e_end) }

    private func append(_ number: UInt64) {
        var rest = number
        while rest >= 0x80 {
            pending.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        pending.append(UInt8(rest))
    }

    private func flushIfLarge() throws {
        if pending.count >= 64 * 1024 { try compress(ZSTD_e_continue) }
    }

    private func compress(_ mode: ZSTD_EndDirective) throws {
        try pending.withUnsafeBytes { input in
            var source = ZSTD_inBuffer(src: input.baseAddress, size: input.count, pos: 0)
            var isDone = false
            while !isDone {
                let (remaining, produced) = output.withUnsafeMutableBytes { buffer in
                    var target = ZSTD_outBuffer(dst: buffer.baseAddress, size: buffer.count, pos: 0)
                    return (ZSTD_compressStream2(context, &target, &source, mode), target.pos)
                }
                if ZSTD_isError(remaining) != 0 {
                    throw ImageError(.system, "", "zstd: \(String(cString: ZSTD_getErrorName(remaining)))")
                }
                try output.withUnsafeBytes {
                    try file.descriptor.write(UnsafeRawBufferPointer(rebasing: $0[..<produced]), LayerDirectory.split)
                }
                count += UInt64(produced)
                isDone = mode == ZSTD_e_end ? remaining == 0 : source.pos == source.size
            }
        }
        pending.removeAll(keepingCapacity: true)
    }
}
