// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Logging
import OCISpec
import Testing

@testable import ContainerImages

/// Archives: those of `scripts/make-demo-image`, our own, and broken ones.
struct ImageArchiveTests {
    private func makeService(_ directory: String) async throws -> ImageService {
        try await ImageService(
            configuration: ImageServiceConfiguration(directory: directory + "/images"), logger: Logger(label: "test"))
    }

    @Test(arguments: ["docker", "oci", "oci zstd", "docker gz", "oci stdin"])
    func `archives are imported with their names`(form: String) async throws {
        try await withTemporaryDirectory { directory in
            let format = form.hasPrefix("oci") ? "oci" : "docker"
            var arguments = ["--name", "demo/app:1", "--format", format, "--cmd", "sleep", "--cmd", "100"]
            if form == "oci zstd" { arguments += ["--compression", "zstd"] }
            arguments += ["--add-user", "app:1000", "--user", "app", "--file", "\(#filePath):/opt/file:0750"]
            var file = directory + "/image.tar"
            try await makeDemoImage(arguments + ["--output", file])
            if form == "docker gz" {
                try Files.replace(file + ".gz", with: gzip(try Files.read(file)))
                file += ".gz"
            }
            let service = try await makeService(directory)
            let images: [Image]
            if form == "oci stdin" {
                images = try await importThroughPipe(file, service)
            } else {
                images = try await service.importArchive(.file(file))
            }
            let image = try #require(images.first)
            #expect(image.names == ["docker.io/demo/app:1"])
            #expect(image.digests == ["docker.io/demo/app@\(image.manifest)"])
            #expect(image.layers.count == 2)
            #expect(image.user == "app")
            #expect(try await service.resolve("demo/app:1") == image)
            let config = try await service.imageConfiguration(image)
            #expect(try config.commandLine() == ["sleep", "100"])
            let root = try await service.prepareRootFileSystem(image, containerID: "c1")
            #expect(try Files.status(root.path + "/opt/file")?.permissions == 0o750)
            #expect(try Files.status(root.path + "/tmp")?.permissions == 0o1777)
            #expect(try ImageUser(image.user, rootFileSystem: root.path).userID == 1000)
            let output = try await run(["chroot", root.path, "/bin/sh", "-c", "echo $((6*7)); id -u app"])
            #expect(output == "42\n1000\n")
            try await service.removeRootFileSystem(containerID: "c1")
            #expect(try Files.names(in: directory + "/images/ingest").isEmpty)
        }
    }

    /// Feeds the import from a pipe, as `cat image.tar | swiftlet images import -` does.
    private func importThroughPipe(_ file: String, _ service: ImageService) async throws -> [Image] {
        let fifo = file + ".fifo"
        _ = try await run(["mkfifo", fifo])
        async let writer = run(["cp", file, fifo])
        let images = try await service.importArchive(.file(fifo))
        _ = try await writer
        return images
    }

    @Test(.enabled(if: Files.exists("/usr/bin/podman"), "needs podman"))
    func `an export is the same image, for us and for podman`() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/image.tar"
            try await makeDemoImage([
                "--name", "swiftlet-images-test/export:1", "--format", "oci", "--output", file, "--file",
                "\(#filePath):/opt/file",
            ])
            let service = try await makeService(directory)
            let image = try #require(try await service.importArchive(.file(file)).first)
            try await service.tag("swiftlet-images-test/export:1", as: "swiftlet-images-test/export:2")
            let exported = directory + "/export.tar"
            try await service.exportArchive([image.id.hex], to: .file(exported))
            let second = try await makeService(directory + "/second")
            let again = try #require(try await second.importArchive(.file(exported)).first)
            #expect(again.id == image.id)
            #expect(again.layers == image.layers)
            #expect(again.names.count == 2)
            // The same image gives the same archive.
            try await second.exportArchive([again.id.hex], to: .file(directory + "/again.tar"))
            #expect(try Digest(of: Files.read(exported)) == Digest(of: Files.read(directory + "/again.tar")))
            // podman stores images below a root of its own here.
            let podman = ["podman", "--root", directory + "/podman", "--runroot", directory + "/podman-run"]
            let loaded = try await run(podman + ["load", "-q", "-i", exported])
            #expect(loaded.contains("swiftlet-images-test/export:1"))
            #expect(loaded.contains("swiftlet-images-test/export:2"))
            let id = try await run(podman + ["image", "inspect", "-f", "{{.Id}}", "swiftlet-images-test/export:1"])
            #expect(id.hasPrefix(image.id.hex))
            // And podman's own archives come back, in both of its formats.
            for format in ["docker-archive", "oci-archive"] {
                let saved = "\(directory)/\(format).tar"
                _ = try await run(
                    podman + ["save", "-q", "--format", format, "-o", saved, "docker.io/swiftlet-images-test/export:1"])
                let third = try await makeService("\(directory)/\(format)")
                let imported = try #require(try await third.importArchive(.file(saved)).first)
                #expect(imported.layers == image.layers)
                #expect(imported.names == ["docker.io/swiftlet-images-test/export:1"])
            }
            _ = try await run(podman + ["rmi", "-a", "-f"])
            for mount in try MountInfo.current() where mount.mountPoint.hasPrefix(directory) {
                try Mounting.unmount(mount.mountPoint, detach: true)
            }
        }
    }

    @Test func `a missing image cannot be exported, and leaves no file`() async throws {
        try await withTemporaryDirectory { directory in
            let service = try await makeService(directory)
            _ = await expectError(.notFound) {
                try await service.exportArchive(["nothing:1"], to: .file(directory + "/out.tar"))
            }
            #expect(try Files.names(in: directory) == ["images"])
        }
    }

    @Test func `damaged archives are refused and leave nothing behind`() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/image.tar"
            let service = try await makeService(directory)
            for format in ["docker", "oci"] {
                try await makeDemoImage(["--name", "demo:1", "--format", format, "--output", file])
                let good = try Files.read(file)
                var cases: [[UInt8]] = [[], Array("hello".utf8), Array(good[..<(good.count / 2)]), Array(good[..<600])]
                var flipped = good
                flipped[good.count / 3] ^= 0x10
                cases.append(flipped)
                cases.append(gzip(good).dropLast(100))
                for bytes in cases {
                    try Files.replace(file, with: bytes)
                    do {
                        _ = try await service.importArchive(.file(file))
                        Issue.record("a damaged archive of \(bytes.count) bytes was imported")
                    } catch let error as ImageError {
                        #expect([.malformed, .digestMismatch].contains(error.kind), "\(error)")
                        #expect(error.description.hasPrefix("failed to import images from \(file): "), "\(error)")
                    }
                }
            }
            #expect(try await service.list().isEmpty)
            #expect(try Files.names(in: directory + "/images/ingest").isEmpty)
            try await service.collectGarbage()
            #expect(try Files.names(in: directory + "/images/layers").isEmpty)
            _ = await expectError(.system) { try await service.importArchive(.file(directory + "/none")) }
        }
    }

    @Test func `a full disk is told plainly, and nothing is left`() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/image.tar"
            try await makeDemoImage(["--name", "demo:1", "--output", file])
            try Files.makeDirectory(directory + "/images")
            try Mounting.mount("tmpfs", at: directory + "/images", type: "tmpfs", data: "size=1m")
            defer { try? Mounting.unmount(directory + "/images", detach: true) }
            var configuration = ImageServiceConfiguration(directory: directory + "/images")
            configuration.limits.reservedDiskBytes = 0
            let service = try await ImageService(configuration: configuration, logger: Logger(label: "test"))
            let error = await expectError(.noSpace) { try await service.importArchive(.file(file)) }
            #expect(error?.remedy?.contains("free disk space") == true)
            #expect(try await service.list().isEmpty)
            for part in ["ingest", "layers", "trash"] {
                #expect(try Files.names(in: "\(directory)/images/\(part)").isEmpty)
            }
        }
    }

    @Test func `random damage to archives never crashes`() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/image.tar"
            let service = try await makeService(directory)
            var seed = SeededGenerator(state: 7)
            let good = Self.smallArchive()
            try Files.replace(file, with: good)
            #expect(try await service.importArchive(.file(file)).count == 1)
            for _ in 0..<300 {
                var bytes = good
                for _ in 0..<Int.random(in: 1...6, using: &seed) {
                    bytes[Int.random(in: 0..<bytes.count, using: &seed)] = UInt8.random(in: 0...255, using: &seed)
                }
                try Files.replace(file, with: bytes, durable: false)
                do {
                    _ = try await service.importArchive(.file(file))
                } catch is ImageError {
                }
            }
            #expect(try Set(Files.names(in: directory)) == ["image.tar", "images"])
        }
    }

    /// A docker archive with links between members, as old versions of docker write them.
    private static func smallArchive() -> [UInt8] {
        var layer = TarBuilder()
        layer.file("hello", "hello")
        let layerBytes = layer.finished()
        let config = ImageConfig(
            architecture: Platform.current.architecture, os: "linux",
            rootfs: .init(diffIDs: [Digest(of: layerBytes).description, Digest(of: layerBytes).description]))
        let manifest: JSON = [
            ["Config": "config.json", "RepoTags": ["small:1"], "Layers": ["a/layer.tar", "b/layer.tar"]]
        ]
        var tar = TarBuilder()
        tar.add("a/layer.tar") { $0.content = layerBytes }
        tar.symbolicLink("b/layer.tar", to: "../a/layer.tar")
        tar.add("config.json") { $0.content = config.serialized() }
        tar.add("manifest.json") { $0.content = manifest.serialized() }
        return tar.finished()
    }

    @Test func `an archive for another machine is refused`() async throws {
        try await withTemporaryDirectory { directory in
            let file = directory + "/image.tar"
            try await makeDemoImage(["--name", "demo:1", "--arch", "s390x", "--output", file])
            let service = try await makeService(directory)
            let error = await expectError(.noMatchingPlatform) { try await service.importArchive(.file(file)) }
            #expect(error?.description.contains("the image is for linux/s390x only") == true)
        }
    }

    @Test func `image defaults are resolved`() throws {
        var config = ImageConfig(architecture: "", os: "", rootfs: .init(diffIDs: []))
        #expect(throws: ImageError.self) { try config.commandLine() }
        #expect(config.workingDirectory == "/")
        #expect(config.stopSignalNumber == 15)
        var execution = ImageConfig.Execution()
        execution.entrypoint = ["/entry"]
        execution.cmd = ["a", "b"]
        execution.workingDir = "srv"
        execution.stopSignal = "SIGQUIT"
        config.config = execution
        #expect(try config.commandLine() == ["/entry", "a", "b"])
        #expect(try config.commandLine(arguments: ["c"]) == ["/entry", "c"])
        #expect(try config.commandLine(entrypoint: ["/other"]) == ["/other"])
        #expect(try config.commandLine(entrypoint: ["/other"], arguments: ["x"]) == ["/other", "x"])
        #expect(config.workingDirectory == "/srv")
        #expect(config.stopSignalNumber == 3)
        let signals: [(String, Int32?)] = [
            ("TERM", 15), ("sigkill", 9), ("37", 37), ("SIGRTMIN+3", 37), ("RTMAX-1", 63), ("0", nil), ("SIGNOPE", nil),
            ("65", nil), ("RTMIN+x", nil),
        ]
        for (text, number) in signals { #expect(ImageConfig.signalNumber(text) == number, "\(text)") }
    }
}
