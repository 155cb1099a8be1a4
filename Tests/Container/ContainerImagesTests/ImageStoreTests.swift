// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import NIOCore
import Testing

@testable import ContainerImages

/// Puts layers made of tars into a store, like a pull does.
func addImage(
    _ tars: [[UInt8]], to store: ImageStore, name: String, session: IngestSession? = nil
) throws -> Image {
    let owned = try session ?? IngestSession(store: store)
    defer { if session == nil { owned.close() } }
    let diffIDs = tars.map { Digest(of: $0) }
    let chain = LayerRecord.chainIDs(of: diffIDs)
    try owned.protect(layers: chain)
    for (index, tar) in tars.enumerated() where try !store.hasLayer(chain[index]) {
        let (name, directory) = try owned.makeLayerDirectory()
        let unpacker = try LayerUnpacker(layer: directory.handle, limits: store.limits, expectedSize: nil)
        try unpacker.feed(ByteBuffer(bytes: tar))
        let commit = LayerCommit(
            session: owned, name: name, directory: directory, outcome: try unpacker.finish(),
            below: Array(chain[..<index]))
        try commit.commit(as: chain[index])
    }
    let config: JSON = [
        "architecture": "", "os": "", "note": .string(name),
        "rootfs": ["type": "layers", "diff_ids": JSON(diffIDs.map(\.description))],
    ]
    let manifest = Array("{\"for\":\"\(name)\"}".utf8)
    let id = Digest(of: config.serialized())
    try owned.protect(blobs: [id, Digest(of: manifest)])
    var image = try store.makeImage(
        id: id, manifest: Digest(of: manifest), layers: chain, user: "", blobs: [config.serialized(), manifest])
    image.names = [name]
    try store.record(image)
    return image
}

private func layer(_ build: (inout TarBuilder) -> Void) -> [UInt8] {
    var tar = TarBuilder()
    build(&tar)
    return tar.finished()
}

struct ImageStoreTests {
    @Test func `chain identifiers follow the specification`() throws {
        let first = Digest(of: [1])
        let second = Digest(of: [2])
        let chain = LayerRecord.chainIDs(of: [first, second])
        #expect(chain == [first, Digest(of: Array("\(first) \(second)".utf8))])
        #expect(LayerRecord.chainIDs(of: []).isEmpty)
    }

    @Test func `images are found by every kind of name and survive reopening`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory + "/store")
            var image = try addImage([layer { $0.file("a", "a") }], to: store, name: "docker.io/library/app:1")
            image.digests = ["docker.io/library/app@\(image.manifest)"]
            try store.record(image)
            let again = try ImageStore(path: directory + "/store")
            for name in [
                "app:1", "docker.io/library/app:1", image.id.description, image.id.hex, String(image.id.hex.prefix(12)),
                "app@\(image.manifest)", "app:1@\(image.manifest)",
            ] {
                #expect(try again.image(name)?.id == image.id, "\(name)")
            }
            for name in ["app", "app:2", "other:1", "ab", "app@\(image.id)"] {
                #expect(try again.image(name) == nil, "\(name)")
            }
        }
    }

    @Test func `a tag moves, and names go before the image`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let shared = layer { $0.file("shared", String(repeating: "s", count: 10_000)) }
            let old = try addImage([shared], to: store, name: "docker.io/library/app:1")
            let new = try addImage([shared, layer { $0.file("b", "b") }], to: store, name: "docker.io/library/app:1")
            #expect(try store.image("app:1")?.id == new.id)
            #expect(try store.image(old.id.description)?.names == [])
            try store.tag("app:1", as: ImageReference(parsing: "app:2"))
            #expect(
                try store.remove("app:1")
                    == ImageRemoval(id: new.id, names: ["docker.io/library/app:1"], isImageGone: false))
            #expect(try store.image("app:2")?.id == new.id)
            #expect(try store.remove("app:2").isImageGone)
            // The layer that the other image shares is still there.
            #expect(try store.hasLayer(old.layers[0]))
            #expect(try !store.hasLayer(new.layers[1]))
            #expect(try store.remove(old.id.hex).isImageGone)
            #expect(try Files.names(in: directory + "/layers").isEmpty)
            #expect(try Files.names(in: directory + "/blobs/sha256").isEmpty)
            let error = await expectError(.notFound) { try store.remove("app:2") }
            #expect(error?.description.contains("no such image") == true)
        }
    }

    @Test func `collection spares what a running pull or a container needs`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let other = try ImageStore(path: directory)
            let session = try IngestSession(store: store)
            let image = try addImage(
                [layer { $0.file("a", "a") }], to: store, name: "docker.io/library/a:1", session: session)
            _ = try store.prepareContainer("c1", image: image)
            _ = try other.remove("a:1")
            #expect(try store.hasLayer(image.layers[0]))
            #expect(try Files.names(in: directory + "/ingest") == [session.name])
            session.close()
            #expect(try other.collectGarbage().layers == 0)
            try store.removeContainer("c1")
            let result = try other.collectGarbage()
            #expect(result.layers == 1)
            #expect(result.bytes > 0)
            #expect(try store.imageBytes() == 0)
        }
    }

    @Test func `what a killed process leaves is cleaned up`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([layer { $0.file("a", "a") }], to: store, name: "docker.io/library/a:1")
            // As after kill -9: nobody holds the lock of the session, a layer is half made, a list half written.
            try Files.makeDirectories(directory + "/ingest/dead/layer-1/fs/x")
            try Files.replace(
                directory + "/ingest/dead/lease", with: Array("layer \(String(repeating: "0", count: 64))".utf8))
            try Files.makeDirectories(directory + "/layers/\(String(repeating: "0", count: 64))/fs")
            try Files.makeDirectories(directory + "/trash/old/fs")
            try Files.makeDirectories(directory + "/containers/.c1.new/upper")
            try Files.replace(directory + "/blobs/sha256/\(String(repeating: "1", count: 64))", with: [])
            let again = try ImageStore(path: directory)
            #expect(try Files.names(in: directory + "/ingest").isEmpty)
            #expect(try Files.names(in: directory + "/trash").isEmpty)
            #expect(try Files.names(in: directory + "/layers") == [image.layers[0].hex])
            #expect(try Set(Files.names(in: directory + "/blobs/sha256")) == [image.id.hex, image.manifest.hex])
            #expect(try again.images() == [image])
        }
    }

    @Test func `a damaged list is reported and deletes nothing`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([layer { $0.file("a", "a") }], to: store, name: "docker.io/library/a:1")
            try Files.replace(directory + "/images.json", with: Array("{\"images\":[{\"id\":".utf8))
            let error = await expectError(.malformed) { try ImageStore(path: directory) }
            #expect(error?.remedy != nil)
            #expect(try Files.names(in: directory + "/layers") == [image.layers[0].hex])
        }
    }

    @Test func `a damaged blob is noticed`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([layer { $0.file("a", "a") }], to: store, name: "docker.io/library/a:1")
            try Files.replace("\(directory)/blobs/sha256/\(image.id.hex)", with: Array("{}".utf8))
            _ = await expectError(.digestMismatch) { try store.blob(image.id) }
        }
    }

    @Test func `two processes change the list without losing anything`() async throws {
        try await withTemporaryDirectory { directory in
            let stores = [try ImageStore(path: directory), try ImageStore(path: directory)]
            let image = try addImage([layer { $0.file("a", "a") }], to: stores[0], name: "docker.io/library/a:0")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...40 {
                    group.addTask {
                        let name = try ImageReference(parsing: "a:\(number)")
                        try await blocking("tag") { try stores[number % 2].tag(image.id.hex, as: name) }
                    }
                }
                try await group.waitForAll()
            }
            #expect(try stores[0].images().first?.names.count == 41)
        }
    }
}

struct ContainerFileSystemTests {
    private let base = layer {
        $0.directory("./", mode: 0o755)
        $0.directory("tmp/", mode: 0o1777)
        $0.directory("etc/", mode: 0o750, owner: 5)
        $0.file("etc/config", "base")
        $0.file("etc/gone", "x")
        $0.directory("old/")
        $0.file("old/file", "x")
        $0.file("target", "linked")
    }

    @Test func `layers and changes show in the mount`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let top = layer {
                $0.file("tmp/new", "new")
                $0.file("etc/config", "top")
                $0.file("etc/.wh.gone", "")
                $0.file("old/.wh..wh..opq", "")
                $0.file("old/fresh", "y")
                $0.hardLink("hard", to: "target")
            }
            let image = try addImage([base, top], to: store, name: "docker.io/library/a:1")
            let root = try store.prepareContainer("c1", image: image)
            defer { try? store.removeContainer("c1") }
            #expect(try Files.readText(root.path + "/etc/config") == "top")
            #expect(try Set(Files.names(in: root.path + "/etc")) == ["config"])
            #expect(try Files.names(in: root.path + "/old") == ["fresh"])
            #expect(try Files.readText(root.path + "/hard") == "linked")
            // The upper layer's tar does not describe these directories; they keep their owner and mode.
            #expect(try Files.status(root.path + "/tmp")?.permissions == 0o1777)
            let etc = try #require(try Files.status(root.path + "/etc"))
            #expect((etc.permissions, etc.owner) == (0o750, 5))
            try Files.replace(root.path + "/etc/config", with: Array("changed".utf8))
            #expect(try store.containerUsage("c1").bytes > 0)
            // Another container of the image sees nothing of it.
            let second = try store.prepareContainer("c2", image: image)
            #expect(try Files.readText(second.path + "/etc/config") == "top")
            try store.removeContainer("c2")
            try store.removeContainer("c2")
            #expect(try store.containerIDs() == ["c1"])
        }
    }

    /// What ext4 leaves of a new file that a power cut followed.
    @Test func `a container whose record a power cut emptied keeps nobody from cleaning up`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([base], to: store, name: "docker.io/library/a:1")
            let root = try store.prepareContainer("c1", image: image)
            let record = "\(directory)/containers/c1/container.json"
            try Files.replace(record, with: [])
            // It is in use: what it needs must not be taken from it.
            #expect(throws: ImageError.self) { try store.collectGarbage() }
            try Mounting.unmount(root.path)
            #expect(try store.collectGarbage().layers == 0)
            try store.removeContainer("c1")
            #expect(try store.containerIDs().isEmpty)
        }
    }

    @Test func `a container's changes survive a restart of the agent and of the machine`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([base], to: store, name: "docker.io/library/a:1")
            let root = try store.prepareContainer("c1", image: image)
            try Files.replace(root.path + "/data", with: Array("kept".utf8))
            // The agent comes back: the mount is there, and is not made twice.
            let again = try ImageStore(path: directory)
            #expect(try again.prepareContainer("c1", image: image) == root)
            #expect(try MountInfo.current().filter { $0.mountPoint == root.path }.count == 1)
            // The machine comes back: the mount is gone.
            try Mounting.unmount(root.path)
            #expect(try again.prepareContainer("c1", image: image) == root)
            #expect(try Files.readText(root.path + "/data") == "kept")
            try again.removeContainer("c1")
            #expect(try MountInfo.current().allSatisfy { $0.mountPoint != root.path })
        }
    }

    @Test func `more layers than a page of options holds are mounted`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let layers = (0..<120).map { number in layer { $0.file("f\(number)", "\(number)") } }
            let image = try addImage(layers, to: store, name: "docker.io/library/many:1")
            let root = try store.prepareContainer("many", image: image)
            defer { try? store.removeContainer("many") }
            #expect(try Files.names(in: root.path).count == 120)
            #expect(try Files.readText(root.path + "/f0") == "0")
        }
    }

    @Test func `unusable container IDs are refused`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory)
            let image = try addImage([base], to: store, name: "docker.io/library/a:1")
            for id in ["", "..", "a/b", ".hidden", String(repeating: "x", count: 129), "a b"] {
                _ = await expectError(.malformed) { try store.prepareContainer(id, image: image) }
                _ = await expectError(.malformed) { try store.removeContainer(id) }
            }
        }
    }

    @Test func `a path with special characters can hold the store`() async throws {
        try await withTemporaryDirectory { directory in
            let store = try ImageStore(path: directory + "/a:b,c")
            let image = try addImage([base], to: store, name: "docker.io/library/a:1")
            let root = try store.prepareContainer("c1", image: image)
            #expect(try Files.readText(root.path + "/etc/config") == "base")
            try store.removeContainer("c1")
        }
    }

    @Test(arguments: [
        ("", "0:0", "", "/root"), ("root", "0:0", "", "/root"), ("app", "1000:100", "7", "/home/app"),
        ("1000", "1000:100", "7", "/home/app"), ("app:wheel", "1000:7", "", "/home/app"), ("4242", "4242:0", "", "/"),
        ("4242:4343", "4242:4343", "", "/"), ("app:9", "1000:9", "", "/home/app"), (":wheel", "0:7", "", "/root"),
    ])
    func `users are looked up in the image`(text: String, ids: String, groups: String, home: String) async throws {
        try await withTemporaryDirectory { directory in
            try Files.makeDirectories(directory + "/etc")
            try Files.replace(
                directory + "/etc/passwd",
                with: Array("root:x:0:0::/root:/bin/sh\nbroken\napp:x:1000:100::/home/app:\n".utf8))
            try Files.replace(
                directory + "/etc/real-group", with: Array("root:x:0:\nwheel:x:7:root2,app\nusers:x:100:app\n".utf8))
            // As if at the root of the image.
            try Files.makeLink(directory + "/etc/group", to: "/etc/real-group")
            let user = try ImageUser(text, rootFileSystem: directory)
            #expect("\(user.userID):\(user.groupID)" == ids)
            #expect(user.additionalGroups.map(String.init).joined(separator: ",") == groups)
            #expect(user.home == home)
        }
    }

    @Test func `unknown users are refused, links out of the image lead nowhere`() async throws {
        try await withTemporaryDirectory { directory in
            try Files.makeDirectories(directory + "/etc")
            try Files.makeLink(directory + "/etc/passwd", to: "../../../../../../../etc/passwd")
            let error = await expectError(.notFound) { try ImageUser("daemon", rootFileSystem: directory) }
            #expect(error?.reason == "unable to find user daemon: no matching entries in passwd file")
            _ = await expectError(.notFound) { try ImageUser("0:nobody", rootFileSystem: directory) }
        }
    }
}
