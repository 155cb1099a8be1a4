// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Makes a layer's uncompressed tar again from its unpacked files and its ``TarSplit`` record. Not thread-safe.
final class TarSplitReader {
    private let layer: SharedDirectory
    private let files: SharedDirectory
    /// For each path the content records' numbers at which its file was moved away, with the file's new name.
    private var moves: [String: [(record: Int, name: String)]] = [:]

    init(layer: SharedDirectory) throws {
        self.layer = layer
        files = SharedDirectory(try layer.handle.openDirectory(LayerDirectory.files))
        var records = 0
        var moved = 0
        try forEachRecord { record in
            switch record {
            case .raw: break
            case .content: records += 1
            case .moved(let path):
                moves[path, default: []].append((records, String(moved)))
                moved += 1
            }
        }
    }

    /// Hands the tar to `emit` in pieces.
    func read(_ emit: (UnsafeRawBufferPointer) throws -> Void) throws {
        var number = 0
        try forEachRecord { record in
            switch record {
            case .raw(let bytes): try bytes.withUnsafeBytes(emit)
            case .content(let path, let size):
                try copy(path, size, number: number, emit)
                number += 1
            case .moved: break
            }
        }
    }

    private enum Record {
        case raw(ArraySlice<UInt8>)
        case content(path: String, size: UInt64)
        case moved(path: String)
    }

    private func copy(_ path: String, _ size: UInt64, number: Int, _ emit: (UnsafeRawBufferPointer) throws -> Void)
        throws
    {
        let file: SharedFile
        if let move = moves[path]?.first(where: { $0.record > number }) {
            file = SharedFile(try layer.handle.openDirectory(LayerDirectory.replaced).openFile(move.name))
        } else {
            file = SharedFile(try files.handle.openFile(inRoot: path))
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 * 1024, alignment: 16)
        defer { buffer.deallocate() }
        var offset: UInt64 = 0
        while offset < size {
            let count = try file.descriptor.read(into: buffer, at: offset, path)
            guard count > 0, offset + UInt64(count) <= size else {
                throw ImageError(.digestMismatch, "", "the stored file \"\(path)\" has changed")
            }
            try emit(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
            offset += UInt64(count)
        }
    }

    private func forEachRecord(_ body: (Record) throws -> Void) throws {
        let file = SharedFile(try layer.handle.openFile(LayerDirectory.split))
        let decompressor = Decompressor()
        var buffered: [UInt8] = []
        let input = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 16)
        defer { input.deallocate() }
        let take = { (bytes: UnsafeRawBufferPointer) in
            buffered.append(contentsOf: bytes)
            buffered.removeFirst(try Self.parse(buffered, body))
        }
        while true {
            let count = try file.descriptor.read(into: input, LayerDirectory.split)
            if count == 0 { break }
            try decompressor.feed(UnsafeRawBufferPointer(rebasing: input[..<count]), take)
        }
        try decompressor.finish(take)
        guard buffered.isEmpty else { throw Self.broken }
    }

    private static var broken: ImageError {
        ImageError(.malformed, "", "the layer's tar record is broken", remedy: "remove the image and pull it again")
    }

    /// Parses the whole records in `bytes` and returns how many bytes they took.
    private static func parse(_ bytes: [UInt8], _ body: (Record) throws -> Void) throws -> Int {
        var done = 0
        while done < bytes.count {
            var next = done + 1
            guard let length = number(bytes, &next), length <= 4 << 20 else {
                if next < bytes.count { throw broken }
                return done
            }
            var size: UInt64 = 0
            if bytes[done] == TarSplit.content {
                guard let value = number(bytes, &next) else { return done }
                size = value
            }
            let end = next + Int(length)
            guard end <= bytes.count else { return done }
            switch bytes[done] {
            case TarSplit.raw: try body(.raw(bytes[next..<end]))
            case TarSplit.content:
                try body(.content(path: String(decoding: bytes[next..<end], as: UTF8.self), size: size))
            case TarSplit.moved: try body(.moved(path: String(decoding: bytes[next..<end], as: UTF8.self)))
            default: throw broken
            }
            done = end
        }
        return done
    }

    /// A LEB128 number; nil where it is not complete yet.
    private static func number(_ bytes: [UInt8], _ position: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < bytes.count, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
