// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import ContainerImages

/// Unpacking as root on the real file system.
struct LayerUnpackTests {
    private func sample() -> TarBuilder {
        var tar = TarBuilder()
        tar.directory("./", mode: 0o755)
        tar.directory("etc/", mode: 0o700, owner: 7)
        tar.add("etc/passwd") { ($0.content, $0.mode, $0.owner, $0.group) = (Array("root".utf8), 0o4640, 1000, 1001) }
        tar.symbolicLink("etc/link", to: "/etc/passwd")
        tar.hardLink("etc/hard", to: "/etc/passwd")
        tar.add("dev/null") { ($0.type, $0.mode, $0.major, $0.minor) = ("3", 0o666, 1, 3) }
        tar.add("run/pipe") { ($0.type, $0.mode) = ("6", 0o600) }
        tar.file("empty", "")
        return tar
    }

    @Test(arguments: [1, 7, 511, 512, 513, 100_000])
    func `members become files, whatever the pieces`(chunk: Int) async throws {
        try await withTemporaryDirectory { directory in
            let bytes = sample().finished()
            let outcome = try unpack(bytes, in: directory, chunk: chunk)
            #expect(outcome.diffID == Digest(of: bytes))
            #expect(outcome.tarBytes == UInt64(bytes.count))
            let passwd = try #require(try status("etc/passwd", in: directory))
            #expect(passwd.permissions == 0o4640)
            #expect((passwd.owner, passwd.group) == (1000, 1001))
            #expect(passwd.modified == FileTime(seconds: 1_600_000_000))
            #expect(passwd.links == 2)
            let etc = try #require(try status("etc", in: directory))
            #expect((etc.permissions, etc.owner, etc.modified.seconds) == (0o700, 7, 1_600_000_000))
            #expect(try status("etc/link", in: directory)?.kind == .symbolicLink)
            let null = try #require(try status("dev/null", in: directory))
            #expect((null.kind, null.major, null.minor, null.permissions) == (.characterDevice, 1, 3, 0o666))
            #expect(try status("run/pipe", in: directory)?.kind == .fifo)
            #expect(try status("empty", in: directory)?.size == 0)
            #expect(outcome.leftovers.impliedDirectories == ["dev", "run"])
        }
    }

    @Test func `gzip, zstd and several gzip members are undone`() async throws {
        try await withTemporaryDirectory { directory in
            var tar = sample()
            tar.file("big", String(repeating: "0123456789abcdef", count: 50_000))
            let bytes = tar.finished()
            let middle = bytes.count / 2
            let forms = [
                gzip(bytes), zstd(bytes), gzip(Array(bytes[..<middle])) + gzip(Array(bytes[middle...])),
                zstd(Array(bytes[..<middle])) + [0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 9, 9]
                    + zstd(Array(bytes[middle...])),
            ]
            for form in forms {
                for chunk in [1, 1000, form.count] {
                    let outcome = try unpack(form, in: directory, chunk: chunk)
                    #expect(outcome.diffID == Digest(of: bytes))
                    #expect(outcome.digest == Digest(of: form))
                    #expect(try status("big", in: directory)?.size == 800_000)
                }
            }
        }
    }

    @Test func `cut off and damaged streams are refused`() async throws {
        try await withTemporaryDirectory { directory in
            let bytes = sample().finished()
            for form in [gzip(bytes), zstd(bytes)] {
                #expect(throws: ImageError.self) { try unpack(Array(form.dropLast(5)), in: directory) }
                #expect(throws: ImageError.self) { try unpack(form + [1, 2, 3], in: directory) }
            }
            _ = await expectError(.malformed) { try unpack(Array(bytes[..<700]), in: directory) }
            var damaged = bytes
            damaged[3] ^= 1
            let error = await expectError(.malformed) { try unpack(damaged, in: directory) }
            #expect(error?.reason.contains("checksum") == true)
            _ = await expectError(.digestMismatch) {
                try unpack(bytes, in: directory, expectedSize: UInt64(bytes.count) - 1)
            }
            _ = await expectError(.digestMismatch) {
                try unpack(bytes, in: directory, expectedSize: UInt64(bytes.count) + 1)
            }
        }
    }

    @Test func `long names, big numbers and attributes are read`() async throws {
        try await withTemporaryDirectory { directory in
            let long = String(repeating: "d/", count: 80) + String(repeating: "n", count: 200)
            let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
            var tar = TarBuilder()
            tar.pax([
                ("path", Array(long.utf8)), ("mtime", Array("1700000000.25".utf8)), ("uid", Array("3000000000".utf8)),
                ("SCHILY.xattr.security.capability", capability),
                ("SCHILY.xattr.trusted.overlay.opaque", Array("y".utf8)),
                ("SCHILY.xattr.user.note", Array("hello".utf8)),
            ])
            tar.file("short", "x")
            tar.gnuLong("L", "gnu/" + String(repeating: "g", count: 150))
            tar.gnuLong("K", "/" + String(repeating: "t", count: 150))
            tar.symbolicLink("short", to: "short")
            tar.raw(TarBuilder.header("negative", .init(), overwriting: 136, with: [UInt8](repeating: 0xFF, count: 12)))
            try unpack(tar.finished(), in: directory, chunk: 100)
            let file = try #require(try status(long, in: directory))
            #expect(file.modified == FileTime(seconds: 1_700_000_000, nanoseconds: 250_000_000))
            #expect(file.owner == 3_000_000_000)
            let open = try FileDescriptor.open(reading: "\(directory)/layer/fs/\(long)")
            #expect(try open.attribute("security.capability") == capability)
            #expect(try open.attribute("user.note") == Array("hello".utf8))
            #expect(try open.attribute("trusted.overlay.opaque") == nil)
            let link = try DirectoryHandle(path: "\(directory)/layer/fs/gnu")
            #expect(try link.symbolicLinkTarget(String(repeating: "g", count: 150)).utf8.count == 151)
            #expect(try status("negative", in: directory)?.modified.seconds == -1)
        }
    }

    @Test func `whiteouts become overlayfs marks`() async throws {
        try await withTemporaryDirectory { directory in
            var tar = TarBuilder()
            tar.file("a/.wh.gone", "")
            tar.file("b/.wh..wh..opq", "")
            tar.file("b/kept", "x")
            tar.file("c/.wh.d", "")
            tar.directory("c/d/")
            tar.directory("e/f/")
            tar.file("e/.wh.f", "")
            tar.file("g/x", "x")
            tar.file("g/.wh.x", "")
            tar.file(".wh..wh.plnk", "")
            try unpack(tar.finished(), in: directory)
            #expect(try status("a/gone", in: directory)?.isOverlayWhiteout == true)
            for path in ["b", "c/d", "e/f"] {
                let opaque = try DirectoryHandle(path: "\(directory)/layer/fs/\(path)")
                #expect(try opaque.descriptor.attribute("trusted.overlay.opaque") == [UInt8(ascii: "y")], "\(path)")
            }
            #expect(try content("g/x", in: directory) == "x")
            #expect(try status(".wh..wh.plnk", in: directory) == nil)
            for bad in [".wh.", ".wh..", ".wh..."] {
                var tar = TarBuilder()
                tar.file("z/\(bad)", "")
                _ = await expectError(.malformed) { try unpack(tar.finished(), in: directory) }
            }
        }
    }

    @Test func `nothing outside the layer can be reached`() async throws {
        try await withTemporaryDirectory { directory in
            let outside = "\(directory)/outside"
            try Files.makeDirectory(outside)
            try Files.replace("\(outside)/secret", with: Array("secret".utf8))
            for path in ["../evil", "a/../../evil", "/../evil", ".."] {
                var tar = TarBuilder()
                tar.file(path, "evil")
                _ = await expectError(.malformed) { try unpack(tar.finished(), in: directory) }
            }
            // Links that lead out: what is written through them stays below the layer's root.
            for target in [outside, "../../../..\(outside)", "/../..\(outside)"] {
                var tar = TarBuilder()
                tar.symbolicLink("out", to: target)
                tar.directory(String(outside.dropFirst()) + "/")
                tar.file("out/evil", "evil")
                tar.file("out/.wh.secret", "")
                try unpack(tar.finished(), in: directory)
                #expect(try Files.names(in: outside) == ["secret"])
                #expect(try Files.readText("\(outside)/secret") == "secret")
            }
            var tar = TarBuilder()
            tar.symbolicLink("file", to: "\(outside)/secret")
            tar.file("file", "replaced")
            tar.symbolicLink("dir", to: outside)
            tar.directory("dir/", mode: 0o777)
            try unpack(tar.finished(), in: directory)
            #expect(try Files.readText("\(outside)/secret") == "secret")
            #expect(try content("file", in: directory) == "replaced")
            #expect(try status("dir", in: directory)?.kind == .directory)
            // A hard link to a link's target outside.
            var links = TarBuilder()
            links.symbolicLink("up", to: "/../../../../../../..\(outside)")
            links.hardLink("stolen", to: "up/secret")
            let outcome = try unpack(links.finished(), in: directory)
            #expect(try status("stolen", in: directory) == nil)
            #expect(outcome.leftovers.links.count == 1)
        }
    }

    @Test func `limits hold`() async throws {
        try await withTemporaryDirectory { directory in
            var limits = ImageLimits()
            limits.layerBytes = 1 << 20
            limits.layerEntries = 5
            var bomb = TarBuilder()
            bomb.add("zeros") { $0.content = [UInt8](repeating: 0, count: 2 << 20) }
            _ = await expectError(.malformed) { try unpack(gzip(bomb.finished()), in: directory, limits: limits) }
            var many = TarBuilder()
            for index in 0..<6 { many.file("f\(index)", "") }
            _ = await expectError(.malformed) { try unpack(many.finished(), in: directory, limits: limits) }
            var long = TarBuilder()
            long.raw(TarBuilder.header("x", .init(type: "x", size: 2 << 20)))
            _ = await expectError(.malformed) { try unpack(long.finished(), in: directory) }
            limits = ImageLimits()
            limits.reservedDiskBytes = .max
            var big = TarBuilder()
            big.add("zeros") { $0.content = [UInt8](repeating: 1, count: 33 << 20) }
            _ = await expectError(.noSpace) {
                try unpack(big.finished(), in: directory, chunk: 1 << 20, limits: limits)
            }
        }
    }

    @Test func `the tar can be made again byte by byte`() async throws {
        try await withTemporaryDirectory { directory in
            var tar = sample()
            tar.file("twice", "first content")
            tar.hardLink("keeps-first", to: "twice")
            tar.file("twice", "second")
            tar.file("twice", "the third and last")
            tar.add("odd") { ($0.type, $0.content) = ("V", Array("volume label".utf8)) }
            tar.pax([("path", Array("páx/名".utf8)), ("comment", Array("kept".utf8))])
            tar.file("x", String(repeating: "long content ", count: 40_000))
            tar.file("etc/.wh.old", "")
            let bytes = tar.finished() + [UInt8](repeating: 0, count: 9000)
            let outcome = try unpack(zstd(bytes), in: directory)
            #expect(outcome.diffID == Digest(of: bytes))
            #expect(try content("keeps-first", in: directory) == "first content")
            var again: [UInt8] = []
            let reader = try TarSplitReader(layer: SharedDirectory(try DirectoryHandle(path: "\(directory)/layer")))
            try reader.read { again.append(contentsOf: $0) }
            #expect(again == bytes)
        }
    }

    @Test func `random damage never crashes or escapes`() async throws {
        try await withTemporaryDirectory { directory in
            let outside = "\(directory)/outside"
            try Files.makeDirectory(outside)
            var tar = sample()
            tar.symbolicLink("out", to: outside)
            tar.file("out/file", "x")
            tar.gnuLong("L", "gnu/" + String(repeating: "g", count: 150))
            tar.file("short", "y")
            tar.pax([("path", Array("../../outside/pax".utf8)), ("size", Array("3".utf8))])
            let plain = tar.finished()
            var seed = SeededGenerator(state: 42)
            var accepted = 0
            for round in 0..<1500 {
                var bytes = round % 3 == 0 ? gzip(plain) : round % 3 == 1 ? zstd(plain) : plain
                for _ in 0..<Int.random(in: 1...8, using: &seed) {
                    let position = Int.random(in: 0..<bytes.count, using: &seed)
                    switch Int.random(in: 0..<4, using: &seed) {
                    case 0: bytes[position] = UInt8.random(in: 0...255, using: &seed)
                    case 1: bytes.remove(at: position)
                    case 2: bytes.insert(UInt8.random(in: 0...255, using: &seed), at: position)
                    default: bytes.removeLast(min(bytes.count - 1, Int.random(in: 0..<200, using: &seed)))
                    }
                }
                if round % 3 == 2 { Self.mendChecksums(&bytes) }
                do {
                    try unpack(bytes, in: directory, chunk: 1 + round % 2000)
                    accepted += 1
                } catch is ImageError {
                } catch is SystemError {
                }
            }
            #expect(try Files.names(in: outside).isEmpty)
            #expect(try Set(Files.names(in: directory)).isSubset(of: ["outside", "layer"]))
            #expect(accepted < 1500)
        }
    }

    /// Makes the checksums of damaged headers right again, so that the damage reaches the fields.
    private static func mendChecksums(_ bytes: inout [UInt8]) {
        for start in stride(from: 0, to: bytes.count - 512, by: 512)
        where bytes[(start + 257)..<(start + 262)].elementsEqual(Array("ustar".utf8)) {
            for index in 148..<156 { bytes[start + index] = 0x20 }
            let sum = String(bytes[start..<(start + 512)].reduce(0) { $0 + Int($1) }, radix: 8)
            let text = String(repeating: "0", count: max(0, 6 - sum.utf8.count)) + sum + "\u{0} "
            for (index, byte) in text.utf8.enumerated() { bytes[start + 148 + index] = byte }
        }
    }
}

/// A reproducible random number generator (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
