// SPDX-License-Identifier: Apache-2.0

import CZlib

/// Name/value header blocks (SPDY Protocol Draft 3.1, section 2.6.10): lengths and texts, compressed with zlib as one
/// stream per direction and session, begun with a dictionary that both sides know.
package enum SPDYHeaders {
    /// The largest block after decompression, in bytes.
    package static let blockLimit = 64 << 10

    /// The block of these headers, not compressed; names are written in lower case.
    package static func encode(_ headers: [(name: String, value: String)]) -> [UInt8] {
        var block = word(headers.count)
        for (name, value) in headers {
            let name = Array(name.lowercased().utf8)
            block += word(name.count) + name + word(value.utf8.count) + Array(value.utf8)
        }
        return block
    }

    /// Reads a block that is not compressed (any more); a name that comes twice keeps its last value.
    package static func decode(_ block: [UInt8]) throws(SPDYError) -> [String: String] {
        var rest = block[...]
        let count = try number(&rest)
        guard count <= 256 else { throw SPDYError("\(count) headers are too many") }
        var headers: [String: String] = [:]
        for _ in 0..<count {
            let name = try text(&rest)
            headers[name.lowercased()] = try text(&rest)
        }
        return headers
    }

    private static func word(_ value: Int) -> [UInt8] {
        [UInt8(value >> 24 & 0xff), UInt8(value >> 16 & 0xff), UInt8(value >> 8 & 0xff), UInt8(value & 0xff)]
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) throws(SPDYError) -> Int {
        guard rest.count >= 4 else { throw SPDYError("header block ends early") }
        defer { rest = rest.dropFirst(4) }
        return rest.prefix(4).reduce(0) { $0 << 8 | Int($1) }
    }

    private static func text(_ rest: inout ArraySlice<UInt8>) throws(SPDYError) -> String {
        let length = try number(&rest)
        guard length <= rest.count else { throw SPDYError("header block ends early") }
        defer { rest = rest.dropFirst(length) }
        return String(decoding: rest.prefix(length), as: UTF8.self)
    }

    /// The dictionary of SPDY/3: common names and values, each with its length, then some that have none.
    package static let dictionary: [UInt8] = {
        let words =
            "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges "
            + "age allow authorization cache-control connection content-base content-encoding content-language "
            + "content-length content-location content-md5 content-range content-type date etag expect expires from "
            + "host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location "
            + "max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer "
            + "transfer-encoding upgrade user-agent vary via warning www-authenticate method get status"
        let more = ["200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin"]
        let tail =
            "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
            + "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized"
            + "403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable"
            + "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT"
            + "chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,"
            + "text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0."
        var bytes: [UInt8] = []
        for text in words.split(separator: " ").map(String.init) + more {
            bytes += word(text.utf8.count) + Array(text.utf8)
        }
        return bytes + Array(tail.utf8)
    }()
}

/// Decompresses the header blocks of one direction, in the order in which they came.
final class SPDYHeaderInflater {
    private let stream: UnsafeMutablePointer<z_stream>

    init() throws(SPDYError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        guard inflateInit_(stream, ZLIB_VERSION, CInt(MemoryLayout<z_stream>.size)) == Z_OK else {
            stream.deallocate()
            throw SPDYError("zlib cannot be initialised")
        }
    }

    deinit {
        inflateEnd(stream)
        stream.deallocate()
    }

    func inflate(_ block: [UInt8]) throws(SPDYError) -> [UInt8] {
        var input = block
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        var failure: String?
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            while failure == nil {
                let (result, made) = step(&chunk)
                output += chunk[..<made]
                if output.count > SPDYHeaders.blockLimit {
                    failure = "header block is too long"
                } else if result == Z_NEED_DICT {
                    setDictionary()
                } else if result != Z_OK && result != Z_BUF_ERROR {
                    failure = "header block cannot be decompressed"
                } else if made == 0 || made < chunk.count && stream.pointee.avail_in == 0 {
                    break
                }
            }
            stream.pointee.next_in = nil
            stream.pointee.avail_in = 0
        }
        if let failure { throw SPDYError(failure) }
        return output
    }

    private func step(_ chunk: inout [UInt8]) -> (CInt, Int) {
        let size = chunk.count
        let result = chunk.withUnsafeMutableBufferPointer { buffer in
            stream.pointee.next_out = buffer.baseAddress
            stream.pointee.avail_out = UInt32(size)
            return CZlib.inflate(stream, Z_SYNC_FLUSH)
        }
        return (result, size - Int(stream.pointee.avail_out))
    }

    private func setDictionary() {
        let dictionary = SPDYHeaders.dictionary
        inflateSetDictionary(stream, dictionary, UInt32(dictionary.count))
    }
}

/// Compresses the header blocks of one direction.
final class SPDYHeaderDeflater {
    private let stream: UnsafeMutablePointer<z_stream>

    init() throws(SPDYError) {
        stream = .allocate(capacity: 1)
        stream.initialize(to: z_stream())
        // A small window and little memory: header blocks are short.
        let result = deflateInit2_(
            stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 11, 1, Z_DEFAULT_STRATEGY, ZLIB_VERSION,
            CInt(MemoryLayout<z_stream>.size))
        guard result == Z_OK else {
            stream.deallocate()
            throw SPDYError("zlib cannot be initialised")
        }
        let dictionary = SPDYHeaders.dictionary
        deflateSetDictionary(stream, dictionary, UInt32(dictionary.count))
    }

    deinit {
        deflateEnd(stream)
        stream.deallocate()
    }

    func deflate(_ block: [UInt8]) -> [UInt8] {
        var input = block
        var output: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4096)
        input.withUnsafeMutableBufferPointer { input in
            stream.pointee.next_in = input.baseAddress
            stream.pointee.avail_in = UInt32(input.count)
            repeat {
                let size = chunk.count
                _ = chunk.withUnsafeMutableBufferPointer { buffer in
                    stream.pointee.next_out = buffer.baseAddress
                    stream.pointee.avail_out = UInt32(size)
                    return CZlib.deflate(stream, Z_SYNC_FLUSH)
                }
                output += chunk[..<(size - Int(stream.pointee.avail_out))]
            } while stream.pointee.avail_out == 0
        }
        return output
    }
}
