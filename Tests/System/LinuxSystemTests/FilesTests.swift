// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxSystem

/// A directory that goes away with its test.
final class ScratchDirectory {
    let path: String

    init(_ name: String = "linuxsystem") throws {
        path = "/tmp/\(name)-test-\(Processes.current)-\(UInt32.random(in: 0...UInt32.max))"
        try Files.makeDirectory(path)
    }

    deinit {
        // A test that failed half-way may leave mounts; the files are in /tmp all the same.
        try? Files.removeTree(path)
    }
}

@Suite struct FilesTests {
    @Test func replacingKeepsPermissionsAndLeavesNothingBehind() throws {
        let scratch = try ScratchDirectory()
        let path = "\(scratch.path)/state.json"
        try Files.replace(path, with: Array("one".utf8))
        try Files.replace(path, with: Array("two".utf8), permissions: 0o600)
        #expect(try Files.readText(path) == "two")
        #expect(try Files.status(path)?.permissions == 0o600)
        #expect(try Files.names(in: scratch.path) == ["state.json"])
    }

    @Test func severalReplaceAFileAtATime() async throws {
        let scratch = try ScratchDirectory()
        let path = "\(scratch.path)/state.json"
        try await withThrowingTaskGroup(of: Void.self) { group in
            for letter in "abcdefgh".utf8 {
                group.addTask {
                    for _ in 0..<20 {
                        try Files.replace(path, with: [UInt8](repeating: letter, count: 1 << 18), durable: false)
                    }
                }
            }
            try await group.waitForAll()
        }
        let bytes = try Files.read(path)
        #expect(bytes.count == 1 << 18 && Set(bytes).count == 1)
        #expect(try Files.names(in: scratch.path) == ["state.json"])
    }

    @Test func appArmorIsEnabledOnlyWhereItsModuleSaysSo() throws {
        let scratch = try ScratchDirectory()
        let parameters = "\(scratch.path)/sys/module/apparmor/parameters"
        try Files.makeDirectories(parameters)
        try Files.replace("\(parameters)/enabled", with: Array("Y\n".utf8))
        #expect(!SecurityModules.hasAppArmor(root: scratch.path))
        try Files.makeDirectories("\(scratch.path)/sys/kernel/security/apparmor")
        #expect(SecurityModules.hasAppArmor(root: scratch.path))
        try Files.replace("\(parameters)/enabled", with: Array("N\n".utf8))
        #expect(!SecurityModules.hasAppArmor(root: scratch.path))
    }

    @Test func replacingInAMissingDirectoryNamesThePath() throws {
        let scratch = try ScratchDirectory()
        let error = #expect(throws: SystemError.self) {
            try Files.replace("\(scratch.path)/none/x", with: [])
        }
        #expect(error?.errno == Errno.ENOENT)
        #expect(error?.subject.hasPrefix("\(scratch.path)/none/x") == true)
    }

    @Test func makesParentsAndToleratesExistingOnes() throws {
        let scratch = try ScratchDirectory()
        try Files.makeDirectories("\(scratch.path)/a/b/c")
        try Files.makeDirectories("\(scratch.path)/a/b/c")
        #expect(try Files.status("\(scratch.path)/a/b/c")?.kind == .directory)
    }

    @Test func removalDoesNotFollowLinks() throws {
        let scratch = try ScratchDirectory()
        try Files.makeDirectories("\(scratch.path)/tree/sub")
        try Files.makeDirectory("\(scratch.path)/outside")
        try Files.replace("\(scratch.path)/outside/keep", with: [1])
        try Files.makeLink("\(scratch.path)/tree/sub/link", to: "\(scratch.path)/outside")
        try Files.removeTree("\(scratch.path)/tree")
        #expect(!Files.exists("\(scratch.path)/tree"))
        #expect(Files.exists("\(scratch.path)/outside/keep"))
        try Files.removeTree("\(scratch.path)/tree")
    }

    @Test func removalStopsAtMounts() throws {
        let scratch = try ScratchDirectory()
        let mountPoint = "\(scratch.path)/tree/mounted"
        try Files.makeDirectories(mountPoint)
        try Mounting.mount("tmpfs", at: mountPoint, type: "tmpfs")
        defer { #expect(throws: Never.self) { try Mounting.unmount(mountPoint, detach: true) } }
        try Files.replace("\(mountPoint)/keep", with: [1])
        let error = #expect(throws: SystemError.self) { try Files.removeTree("\(scratch.path)/tree") }
        #expect(error?.errno == Errno.EXDEV || error?.errno == Errno.EBUSY)
        #expect(Files.exists("\(mountPoint)/keep"))
    }

    @Test func readsMoreThanOneChunk() throws {
        let scratch = try ScratchDirectory()
        let bytes = (0..<300_000).map { UInt8(truncatingIfNeeded: $0) }
        try Files.replace("\(scratch.path)/big", with: bytes, durable: false)
        #expect(try Files.read("\(scratch.path)/big") == bytes)
        #expect(try Files.read("\(scratch.path)/big", limit: 5) == Array(bytes.prefix(5)))
    }
}

@Suite struct SocketTests {
    @Test func descriptorsTravelOverALongPath() throws {
        let scratch = try ScratchDirectory()
        let directory = "\(scratch.path)/\(String(repeating: "d", count: 120))"
        try Files.makeDirectory(directory)
        let listener = try Sockets.listen(at: "\(directory)/s")
        let client = try Sockets.connect(to: "\(directory)/s")
        guard let server = try Sockets.accept(listener) else { throw SystemError("accept", errno: Errno.EAGAIN) }
        let pipe = try Sockets.pipe()
        try Sockets.send([1, 2, 3], descriptors: [pipe.second.rawValue], on: client)
        var received: [CInt] = []
        #expect(try Sockets.receive(limit: 16, descriptors: &received, on: server) == [1, 2, 3])
        let writer = FileDescriptor(owning: try #require(received.first))
        try writer.writeAll("hello")
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = try buffer.withUnsafeMutableBytes { try pipe.first.read(into: $0, "pipe") }
        #expect(buffer.prefix(count) == ArraySlice("hello".utf8))
        #expect(try Sockets.peer(of: server).pid == Processes.current)
        #expect(try Files.status("\(directory)/s")?.permissions == 0o600)
    }

    @Test func pollingReportsReadinessAndTimeouts() throws {
        let pair = try Sockets.pair()
        #expect(try !Polling.wait(pair.first, .readable, timeout: 0))
        try pair.second.writeAll("x")
        #expect(try Polling.wait(pair.first, .readable, timeout: 1000))
    }
}
