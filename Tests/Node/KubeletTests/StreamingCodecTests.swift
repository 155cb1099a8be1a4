// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Kubelet

@Suite("Streaming codecs")
struct StreamingCodecTests {
    // MARK: WebSocket

    @Test("the handshake of RFC 6455, section 1.3")
    func handshake() {
        #expect(WebSocketHandshake.accept(key: "dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    }

    @Test("a masked frame of RFC 6455, section 5.7, in pieces of every size", arguments: 1...11)
    func maskedFrame(piece: Int) throws {
        // FIN+text, MASK+5, the mask, "Hello" masked
        let bytes: [UInt8] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        var decoder = WebSocketDecoder()
        var messages: [WebSocketMessage] = []
        for start in stride(from: 0, to: bytes.count, by: piece) {
            messages += try decoder.feed(bytes[start..<min(start + piece, bytes.count)])
        }
        #expect(messages == [.data(Array("Hello".utf8), isText: true)])
    }

    private func masked(_ first: UInt8, _ payload: [UInt8]) -> [UInt8] {
        let length: [UInt8] =
            payload.count < 126
            ? [0x80 | UInt8(payload.count)] : [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xff)]
        let mask: [UInt8] = [1, 2, 3, 4]
        return [first] + length + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }

    @Test("fragments are put together, with a ping between them")
    func fragments() throws {
        var decoder = WebSocketDecoder()
        let bytes = masked(0x02, [1, 2]) + masked(0x89, [9]) + masked(0x80, [3])
        #expect(try decoder.feed(bytes) == [.ping([9]), .data([1, 2, 3], isText: false)])
    }

    @Test("long payloads")
    func longPayload() throws {
        var decoder = WebSocketDecoder()
        let payload = (0..<1000).map { UInt8(truncatingIfNeeded: $0) }
        #expect(try decoder.feed(masked(0x82, payload)) == [.data(payload, isText: false)])
        #expect(WebSocketEncoder.frame(.binary, payload).prefix(4) == [0x82, 126, 0x03, 0xe8])
        #expect(
            WebSocketEncoder.frame(.binary, Array(repeating: 0, count: 65536)).prefix(10) == [
                0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0,
            ])
    }

    @Test(
        "hostile frames are refused",
        arguments: [
            ([0x82, 0x01, 0x00], 1002),  // not masked
            ([0xc2, 0x80, 0, 0, 0, 0], 1002),  // reserved bit
            ([0x83, 0x80, 0, 0, 0, 0], 1002),  // unknown opcode
            ([0x09, 0x80, 0, 0, 0, 0], 1002),  // fragmented ping
            ([0x89, 0xfe, 0, 126], 1002),  // long ping
            ([0x80, 0x80, 0, 0, 0, 0], 1002),  // continuation of nothing
            ([0x88, 0x81, 0, 0, 0, 0, 0], 1002),  // close with one byte
            ([0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0], 1009),  // 4 GiB
        ] as [([UInt8], UInt16)])
    func hostileFrames(bytes: [UInt8], code: UInt16) {
        var decoder = WebSocketDecoder()
        #expect { try decoder.feed(bytes) } throws: { ($0 as? WebSocketError)?.code == code }
    }

    @Test("nothing is read after a close frame")
    func close() throws {
        var decoder = WebSocketDecoder()
        #expect(try decoder.feed(masked(0x88, [0x03, 0xe8]) + [0xff, 0xff]) == [.close(code: 1000)])
    }

    // MARK: Channels

    @Test("the client's first wish that is known is chosen")
    func negotiation() {
        let choose = { ChannelProtocol.negotiate($0, from: ChannelProtocol.remoteCommand)?.name }
        #expect(choose(["v5.channel.k8s.io", "v4.channel.k8s.io"]) == "v5.channel.k8s.io")
        #expect(choose(["nonsense", "base64.channel.k8s.io"]) == "base64.channel.k8s.io")
        #expect(choose([]) == "")
        #expect(choose(["nonsense"]) == nil)
    }

    @Test("v5 tells that a channel is closed, v4 takes the byte for data")
    func closeSignal() throws {
        let v5 = ChannelProtocol.remoteCommand[0]
        let v4 = ChannelProtocol.remoteCommand[1]
        #expect(try v5.decode([255, 0]) == .closed(channel: 0))
        #expect(try v4.decode([255, 0]) == .data(channel: 255, [0]))
        #expect(try v5.decode([0, 104, 105]) == .data(channel: 0, [104, 105]))
        #expect(throws: WebSocketError.self) { try v5.decode([255]) }
    }

    @Test("base64 channels")
    func base64() throws {
        let base64 = ChannelProtocol.remoteCommand[2]
        #expect(try base64.decode(Array("0aGk=".utf8)) == .data(channel: 0, Array("hi".utf8)))
        #expect(base64.frame(channel: 1, Array("hi".utf8)) == [0x81, 5] + Array("1aGk=".utf8))
        #expect(throws: WebSocketError.self) { try base64.decode(Array("0***".utf8)) }
    }

    // MARK: SPDY

    @Test("the header dictionary is the one of SPDY/3, by its Adler-32")
    func dictionary() {
        #expect(SPDYHeaders.dictionary.count == 1423)
        var a: UInt32 = 1
        var b: UInt32 = 0
        for byte in SPDYHeaders.dictionary {
            a = (a + UInt32(byte)) % 65521
            b = (b + a) % 65521
        }
        #expect(b << 16 | a == 0xe3c6_a7c2)
    }

    @Test("header blocks survive compression, and the second shares the first's window")
    func headers() throws {
        let deflater = try SPDYHeaderDeflater()
        let inflater = try SPDYHeaderInflater()
        let block = SPDYHeaders.encode([("streamType", "data"), ("port", "8080"), ("requestID", "0")])
        let first = deflater.deflate(block)
        let second = deflater.deflate(block)
        #expect(second.count < first.count)
        #expect(
            try SPDYHeaders.decode(inflater.inflate(first)) == ["streamtype": "data", "port": "8080", "requestid": "0"])
        #expect(try inflater.inflate(second) == block)
    }

    @Test("a stream's opening as a client sends it")
    func synStream() throws {
        let bytes: [UInt8] = [
            0x80, 0x03, 0x00, 0x01,  // control, version 3, SYN_STREAM
            0x00, 0x00, 0x00, 0x0c,  // no flags, 12 bytes
            0x00, 0x00, 0x00, 0x03,  // stream 3
            0x00, 0x00, 0x00, 0x00,  // no associated stream
            0x00, 0x00,  // priority, slot
            0xaa, 0xbb,  // header block
        ]
        var decoder = SPDYDecoder()
        #expect(try decoder.feed(bytes.prefix(9)) == [])
        #expect(try decoder.feed(bytes.dropFirst(9)) == [.synStream(id: 3, headers: [0xaa, 0xbb], isFinal: false)])
        #expect(SPDYEncoder.encode(.synStream(id: 3, headers: [0xaa, 0xbb], isFinal: false)) == bytes)
    }

    @Test("frames survive encoding")
    func roundTrip() throws {
        let frames: [SPDYFrame] = [
            .synReply(id: 1, headers: [1], isFinal: false), .data(id: 1, [1, 2, 3], isFinal: true), .ping(7),
            .reset(id: 5, status: 3), .goAway(lastStream: 9, status: 0), .windowUpdate(id: 1, delta: 65536),
            .headers(id: 3, headers: [], isFinal: true), .unknown(type: 10), .settings,
        ]
        var decoder = SPDYDecoder()
        #expect(try decoder.feed(frames.flatMap { SPDYEncoder.encode($0) }) == frames)
    }

    @Test(
        "hostile frames are refused",
        arguments: [
            [0x80, 0x02, 0x00, 0x01, 0, 0, 0, 0],  // version 2
            [0x80, 0x03, 0x00, 0x01, 0, 0, 0, 2, 0, 0],  // short SYN_STREAM
            [0x00, 0x00, 0x00, 0x01, 0, 0xff, 0xff, 0xff],  // 16 MiB of data
        ] as [[UInt8]])
    func hostile(bytes: [UInt8]) {
        var decoder = SPDYDecoder()
        #expect(throws: SPDYError.self) { try decoder.feed(bytes) }
    }

    @Test("header blocks that lie about their lengths are refused")
    func hostileHeaders() {
        for block: [UInt8] in [[], [0, 0, 0, 1], [0, 0, 0, 1, 0, 0, 0, 9, 1], [0xff, 0xff, 0xff, 0xff]] {
            #expect(throws: SPDYError.self) { try SPDYHeaders.decode(block) }
        }
        #expect(throws: SPDYError.self) { try SPDYHeaderInflater().inflate([1, 2, 3, 4, 5, 6]) }
    }
}
