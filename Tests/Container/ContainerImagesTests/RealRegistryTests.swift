// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import Logging
import Testing

@testable import ContainerImages

/// Debian's docker-registry on loopback, with and without basic authentication.
@Suite(.enabled(if: Files.exists("/usr/bin/docker-registry"), "needs Debian's docker-registry"))
struct RealRegistryTests {
    /// Runs a registry below a directory of its own; `users` is an htpasswd file's text.
    private func withRegistry(
        users: String? = nil, _ body: (_ host: String, _ directory: String) async throws -> Void
    ) async throws {
        try await withTemporaryDirectory { directory in
            let port = Int.random(in: 20000..<30000)
            var config = """
                version: 0.1
                log: {level: error, accesslog: {disabled: true}}
                storage: {filesystem: {rootdirectory: \(directory)/registry}}
                http: {addr: "127.0.0.1:\(port)"}

                """
            if let users {
                try Files.replace(directory + "/htpasswd", with: Array(users.utf8))
                config += "auth: {htpasswd: {realm: test, path: \(directory)/htpasswd}}\n"
            }
            try Files.replace(directory + "/config.yml", with: Array(config.utf8))
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/docker-registry")
            process.arguments = ["serve", directory + "/config.yml"]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            defer {
                process.terminate()
                process.waitUntilExit()
            }
            for _ in 0..<100 {
                if (try? await run(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/\(port)"])) != nil { break }
                try await Task.sleep(for: .milliseconds(50))
            }
            try await body("127.0.0.1:\(port)", directory)
        }
    }

    private func makeService(_ directory: String) async throws -> ImageService {
        try await ImageService(
            configuration: ImageServiceConfiguration(directory: directory + "/images"), logger: Logger(label: "test"))
    }

    @Test(arguments: ["gzip", "zstd", "none"])
    func `an image is pushed, pulled by tag and digest, and run`(compression: String) async throws {
        try await withRegistry { host, directory in
            try await makeDemoImage([
                "--name", "team/demo:\(compression)", "--compression", compression, "--push", "http://\(host)",
                "--file",
                "\(#filePath):/opt/file",
            ])
            let service = try await makeService(directory)
            let image = try await service.pull("\(host)/team/demo:\(compression)")
            #expect(image.names == ["\(host)/team/demo:\(compression)"])
            #expect(image.digests == ["\(host)/team/demo@\(image.manifest)"])
            #expect(try await service.pull(image.digests[0]).id == image.id)
            let root = try await service.prepareRootFileSystem(image, containerID: "real")
            #expect(
                try await ContainerImagesTests.run(["chroot", root.path, "/bin/cat", "/opt/file"]).contains(
                    "RealRegistryTests"))
            try await service.removeRootFileSystem(containerID: "real")
            let usage = try await service.usage()
            #expect(usage.imageBytes >= 1_900_000)
            #expect(image.size >= usage.imageBytes)
        }
    }

    @Test func `what is not there is told apart from what is forbidden`() async throws {
        // htpasswd -nbB me secret
        let hash = try await ContainerImagesTests.run([
            "perl", "-e", #"print crypt("secret", "\$2y\$05\$abcdefghijklmnopqrstuu")"#,
        ])
        try await withRegistry(users: "me:\(hash)\n") { host, directory in
            try await makeDemoImage([
                "--name", "private:1", "--push", "http://\(host)", "--push-user", "me:secret",
            ])
            let service = try await makeService(directory)
            let anonymous = await expectError(.unauthorized) { try await service.pull("\(host)/private:1") }
            #expect(anonymous?.description.contains("imagePullSecrets") == true)
            let wrong = RegistryCredentials(username: "me", password: "wrong")
            _ = await expectError(.unauthorized) { try await service.pull("\(host)/private:1", credentials: wrong) }
            let right = RegistryCredentials(username: "me", password: "secret")
            let missing = await expectError(.notFound) {
                try await service.pull("\(host)/private:2", credentials: right)
            }
            #expect(missing?.description.contains("\(host)/private:2: not found") == true)
            let image = try await service.pull("\(host)/private:1", credentials: right)
            #expect(image.layers.count == 1)
        }
    }
}
