// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Writes a tar archive (ustar) of small documents and streamed files to an open file, a pipe included.
struct TarWriter {
    private let file: SharedFile
    private let subject: String
    /// Content bytes of the current member that are still to come.
    private var remaining: UInt64 = 0
    private var padding = 0

    init(_ file: SharedFile, _ subject: String) {
        self.file = file
        self.subject = subject
    }

    /// Adds a directory; `path` without the slash at the end.
    mutating func directory(_ path: String) throws {
        try header(path + "/", size: 0, type: UInt8(ascii: "5"), mode: 0o755)
    }

    /// Adds a whole file.
    mutating func member(_ path: String, _ content: [UInt8]) throws {
        try begin(path, size: UInt64(content.count))
        try content.withUnsafeBytes { try write($0) }
        try end()
    }

    /// Begins a file whose content comes by ``write(_:)``.
    mutating func begin(_ path: String, size: UInt64) throws {
        try header(path, size: size, type: UInt8(ascii: "0"), mode: 0o644)
        remaining = size
        padding = Int(TarParser.padding(after: size))
    }

    mutating func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard UInt64(bytes.count) <= remaining else {
            throw ImageError(.digestMismatch, "", "a layer is longer than its record says")
        }
        remaining -= UInt64(bytes.count)
        try file.descriptor.write(bytes, subject)
    }

    mutating func end() throws {
        guard remaining == 0 else { throw ImageError(.digestMismatch, "", "a layer is shorter than its record says") }
        try zeros(padding)
        padding = 0
    }

    /// Writes the end-of-archive mark.
    mutating func finish() throws { try zeros(2 * TarParser.blockSize) }

    private func zeros(_ count: Int) throws {
        try [UInt8](repeating: 0, count: count).withUnsafeBytes { try file.descriptor.write($0, subject) }
    }

    private func header(_ path: String, size: UInt64, type: UInt8, mode: Int) throws {
        var block = [UInt8](repeating: 0, count: TarParser.blockSize)
        func put(_ text: String, at offset: Int) {
            for (index, byte) in text.utf8.enumerated() { block[offset + index] = byte }
        }
        precondition(path.utf8.count <= 100, "archive member names are ours and short")
        put(path, at: 0)
        put(Self.octal(UInt64(mode), 7), at: 100)
        put(Self.octal(0, 7), at: 108)
        put(Self.octal(0, 7), at: 116)
        if size < 1 << 33 {
            put(Self.octal(size, 11), at: 124)
        } else {
            // GNU's binary form for more than eleven octal digits hold.
            block[124] = 0x80
            for index in 0..<8 { block[128 + index] = UInt8(truncatingIfNeeded: size >> UInt64(56 - 8 * index)) }
        }
        // A fixed time, so that the same image gives the same archive.
        put(Self.octal(0, 11), at: 136)
        block[156] = type
        put("ustar", at: 257)
        put("00", at: 263)
        put("        ", at: 148)
        put(Self.octal(block.reduce(0) { $0 + UInt64($1) }, 6) + "\0", at: 148)
        try block.withUnsafeBytes { try file.descriptor.write($0, subject) }
    }

    private static func octal(_ value: UInt64, _ digits: Int) -> String {
        let text = String(value, radix: 8)
        return String(repeating: "0", count: max(0, digits - text.utf8.count)) + text
    }
}
