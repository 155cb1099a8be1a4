// SPDX-License-Identifier: Apache-2.0

import CZlib
import CZstd
import LinuxSystem
import NIOCore
import PKI
import Testing

@testable import ContainerImages

/// Runs a test with a directory of its own, which is removed afterwards.
func withTemporaryDirectory<Result>(
    isolation: isolated (any Actor)? = #isolation, _ body: (String) async throws -> Result
) async throws -> Result {
    let path = "/tmp/swiftlet-images-\(hexadecimal(try randomBytes(count: 8)))"
    try Files.makeDirectory(path)
    do {
        let result = try await body(path)
        try Files.removeTree(path)
        return result
    } catch {
        try? Files.removeTree(path)
        throw error
    }
}

/// Builds tar archives, also broken ones.
struct TarBuilder {
    private(set) var bytes: [UInt8] = []

    /// The fields of a header that tests change.
    struct Member {
        var type = "0"
        var mode = 0o644
        var owner = 0
        var group = 0
        var time = 1_600_000_000
        var link = ""
        var content: [UInt8] = []
        var major = 0
        var minor = 0
        /// The size field, where it is not the content's.
        var size: Int?
        var magic = "ustar\u{0}00"
    }

    mutating func add(_ path: String, _ change: (inout Member) -> Void = { _ in }) {
        var member = Member()
        change(&member)
        bytes += Self.header(path, member)
        append(member.content)
    }

    mutating func file(_ path: String, _ text: String, mode: Int = 0o644) {
        add(path) { ($0.content, $0.mode) = (Array(text.utf8), mode) }
    }

    mutating func directory(_ path: String, mode: Int = 0o755, owner: Int = 0) {
        add(path) { ($0.type, $0.mode, $0.owner) = ("5", mode, owner) }
    }

    mutating func symbolicLink(_ path: String, to target: String) {
        add(path) { ($0.type, $0.link, $0.mode) = ("2", target, 0o777) }
    }

    mutating func hardLink(_ path: String, to target: String) { add(path) { ($0.type, $0.link) = ("1", target) } }

    /// A pax header with these records for the next member.
    mutating func pax(_ records: [(String, [UInt8])]) {
        var content: [UInt8] = []
        for (key, value) in records {
            let rest = 1 + key.utf8.count + 1 + value.count + 1
            var length = rest + 1
            while String(length).utf8.count + rest != length { length = String(length).utf8.count + rest }
            content += Array("\(length) \(key)=".utf8) + value + [0x0A]
        }
        add("PaxHeaders/x") { ($0.type, $0.content) = ("x", content) }
    }

    /// GNU's header for a long name (`L`) or link target (`K`) of the next member.
    mutating func gnuLong(_ type: String, _ text: String) {
        add("././@LongLink") { ($0.type, $0.content) = (type, Array(text.utf8) + [0]) }
    }

    mutating func raw(_ more: [UInt8]) { bytes += more }

    /// The archive with its end mark.
    func finished() -> [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }

    private mutating func append(_ content: [UInt8]) {
        bytes += content
        let over = content.count % 512
        if over > 0 { bytes += [UInt8](repeating: 0, count: 512 - over) }
    }

    static func header(_ path: String, _ member: Member) -> [UInt8] {
        var block = [UInt8](repeating: 0, count: 512)
        func put(_ text: String, _ offset: Int, _ limit: Int) {
            for (index, byte) in text.utf8.prefix(limit).enumerated() { block[offset + index] = byte }
        }
        func octal(_ value: Int, _ width: Int) -> String {
            let text = String(value, radix: 8)
            return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
        }
        put(path, 0, 100)
        put(octal(member.mode, 7), 100, 8)
        put(octal(member.owner, 7), 108, 8)
        put(octal(member.group, 7), 116, 8)
        put(octal(member.size ?? member.content.count, 11), 124, 12)
        put(octal(member.time, 11), 136, 12)
        put(member.type, 156, 1)
        put(member.link, 157, 100)
        put(member.magic, 257, 8)
        put(octal(member.major, 7), 329, 8)
        put(octal(member.minor, 7), 337, 8)
        put("        ", 148, 8)
        let sum = block.reduce(0) { $0 + Int($1) }
        put(octal(sum, 6) + "\u{0} ", 148, 8)
        return block
    }

    /// A header with a field overwritten and the checksum corrected.
    static func header(_ path: String, _ member: Member, overwriting offset: Int, with bytes: [UInt8]) -> [UInt8] {
        var block = header(path, member)
        for (index, byte) in bytes.enumerated() { block[offset + index] = byte }
        for index in 148..<156 { block[index] = 0x20 }
        let sum = String(block.reduce(0) { $0 + Int($1) }, radix: 8)
        let text = String(repeating: "0", count: 6 - sum.utf8.count) + sum + "\u{0} "
        for (index, byte) in text.utf8.enumerated() { block[148 + index] = byte }
        return block
    }
}

func gzip(_ bytes: [UInt8]) -> [UInt8] {
    var stream = z_stream()
    deflateInit2_(&stream, 6, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size))
    var input = bytes
    var output = [UInt8](repeating: 0, count: bytes.count + bytes.count / 1000 + 1024)
    let count = input.withUnsafeMutableBufferPointer { source in
        output.withUnsafeMutableBufferPointer { target in
            stream.next_in = source.baseAddress
            stream.avail_in = uInt(source.count)
            stream.next_out = target.baseAddress
            stream.avail_out = uInt(target.count)
            deflate(&stream, Z_FINISH)
            return target.count - Int(stream.avail_out)
        }
    }
    deflateEnd(&stream)
    return Array(output[..<count])
}

func zstd(_ bytes: [UInt8]) -> [UInt8] {
    var output = [UInt8](repeating: 0, count: ZSTD_compressBound(bytes.count))
    let count = ZSTD_compress(&output, output.count, bytes, bytes.count, 3)
    return Array(output[..<count])
}

/// Unpacks a layer into `<directory>/layer` in pieces of `chunk` bytes.
@discardableResult
func unpack(
    _ bytes: [UInt8], in directory: String, chunk: Int = 4096, limits: ImageLimits = ImageLimits(),
    expectedSize: UInt64? = nil
) throws -> LayerUnpacker.Outcome {
    let path = "\(directory)/layer"
    try Files.removeTree(path)
    try Files.makeDirectory(path)
    let layer = SharedDirectory(try DirectoryHandle(path: path))
    let unpacker = try LayerUnpacker(layer: layer.handle, limits: limits, expectedSize: expectedSize)
    var position = 0
    while position < bytes.count {
        let end = min(position + chunk, bytes.count)
        try unpacker.feed(ByteBuffer(bytes: bytes[position..<end]))
        position = end
    }
    return try unpacker.finish()
}

/// What is below the unpacked layer's root at a path; nil where there is nothing.
func status(_ path: String, in directory: String) throws -> FileStatus? {
    let slash = path.lastIndex(of: "/")
    let parent = slash.map { "/" + path[..<$0] } ?? ""
    let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
    return try DirectoryHandle(path: "\(directory)/layer/fs\(parent)").status(of: name)
}

func content(_ path: String, in directory: String) throws -> String {
    String(decoding: try Files.read("\(directory)/layer/fs/\(path)"), as: UTF8.self)
}

/// The package's directory.
let packageRoot: String = {
    var path = #filePath[...]
    for _ in 0..<4 { path = path[..<(path.lastIndex(of: "/") ?? path.startIndex)] }
    return String(path)
}()

/// Expects an ``ImageError`` of a kind and returns it.
func expectError<Result>(
    _ kind: ImageError.Kind, isolation: isolated (any Actor)? = #isolation,
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () async throws -> Result
) async -> ImageError? {
    do {
        _ = try await body()
        Issue.record("no error was thrown", sourceLocation: sourceLocation)
        return nil
    } catch let error as ImageError {
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        return error
    } catch {
        Issue.record("another error was thrown: \(error)", sourceLocation: sourceLocation)
        return nil
    }
}
