// SPDX-License-Identifier: Apache-2.0

import Foundation
import LinuxSystem
import Logging
import Testing

@testable import ContainerImages

/// What happens when a process that changes the store is killed. The process is this test program itself, which finds
/// out by an environment variable that it is to be the victim.
struct CrashTests {
    static let variable = "SWIFTLET_IMAGES_CRASH_DIRECTORY"

    /// Imports, tags, exports and removes an image until it is killed.
    @Test(.enabled(if: ProcessInfo.processInfo.environment[variable] != nil))
    func crashVictim() async throws {
        let directory = try #require(ProcessInfo.processInfo.environment[Self.variable])
        let service = try await ImageService(
            configuration: ImageServiceConfiguration(directory: directory + "/images"), logger: Logger(label: "victim"))
        try Data().write(to: URL(fileURLWithPath: directory + "/started"))
        // Ten thousand rounds take far longer than the victim lives.
        for round in 0..<10_000 {
            let image = try #require(try await service.importArchive(.file(directory + "/image.tar")).first)
            try await service.tag(image.id.hex, as: "crash:\(round % 7)")
            try await service.exportArchive([image.id.hex], to: .file(directory + "/out.tar"))
            if round % 2 == 1 { try await service.remove(image.id.hex) }
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment[variable] == nil), .timeLimit(.minutes(3)))
    func `kill -9 at any moment leaves a usable store`() async throws {
        try await withTemporaryDirectory { directory in
            try await makeDemoImage(["--name", "crash:start", "--output", directory + "/image.tar"])
            var generator = SeededGenerator(state: 11)
            var begun = 0
            for round in 0..<10 {
                begun += try await runVictim(
                    directory, lifetime: .milliseconds(Int.random(in: 5...250, using: &generator)))
                let service = try await ImageService(
                    configuration: ImageServiceConfiguration(directory: directory + "/images"),
                    logger: Logger(label: "test"))
                #expect(try Files.names(in: directory + "/images/ingest").isEmpty)
                #expect(try Files.names(in: directory + "/images/trash").isEmpty)
                for image in try await service.list() {
                    let root = try await service.prepareRootFileSystem(image, containerID: "after-\(round)")
                    #expect(try await run(["chroot", root.path, "/bin/echo", "alive"]) == "alive\n")
                    try await service.removeRootFileSystem(containerID: "after-\(round)")
                    _ = try await service.imageConfiguration(image)
                }
            }
            #expect(begun > 0)
            // The exported file was never there in part.
            if Files.exists(directory + "/out.tar") {
                let service = try await ImageService(
                    configuration: ImageServiceConfiguration(directory: directory + "/check"),
                    logger: Logger(label: "test"))
                #expect(try await service.importArchive(.file(directory + "/out.tar")).count == 1)
            }
        }
    }

    /// Starts the victim and kills it a while after it has opened the store; 1 if it got that far.
    private func runVictim(_ directory: String, lifetime: Duration) async throws -> Int {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try Files.linkTarget("/proc/self/exe"))
        process.arguments = ["--testing-library", "swift-testing", "--filter", "crashVictim"]
        process.environment = ProcessInfo.processInfo.environment.merging([Self.variable: directory]) { $1 }
        process.standardOutput = FileHandle.nullDevice
        process.standardError = FileHandle.nullDevice
        try process.run()
        let started = directory + "/started"
        for _ in 0..<500 where !Files.exists(started) && process.isRunning {
            try await Task.sleep(for: .milliseconds(20))
        }
        try await Task.sleep(for: lifetime)
        #expect(process.isRunning, "the victim ended by itself")
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        return try Files.remove(started) ? 1 : 0
    }
}
