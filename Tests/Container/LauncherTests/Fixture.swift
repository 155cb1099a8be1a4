// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import OCISpec
import Testing

@testable import Launcher

/// A directory with a bundle of busybox, and the launcher's program; everything goes away with the test.
final class Fixture {
    let directory: String
    let id: String
    let group: String
    var spec: RuntimeSpec

    init() throws {
        let number = UInt32.random(in: 0...UInt32.max)
        id = "launcher-test-\(number)"
        directory = "/tmp/\(id)"
        group = "/\(id)"
        spec = Features.exampleSpec
        spec.process?.terminal = false
        spec.process?.rlimits = []
        spec.linux.cgroupsPath = group
        try Files.makeDirectory(directory)
    }

    deinit {
        // Whatever a failed test left running.
        if Files.exists(path("state")) { _ = try? launch(["delete", "--force", id]) }
        try? Files.removeTree(directory)
    }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Writes the bundle, with the program `arguments`.
    func writeBundle(_ arguments: [String]) throws {
        spec.process?.args = arguments
        let bin = path("rootfs/bin")
        if !Files.exists("\(bin)/busybox") {
            try Files.makeDirectories(bin)
            try Files.replace("\(bin)/busybox", with: try Files.read("/bin/busybox"), permissions: 0o755)
            for name in [
                "sh", "true", "cat", "sleep", "id", "hostname", "stty", "mkdir", "touch", "dd", "kill", "tail",
            ] {
                try Files.makeLink("\(bin)/\(name)", to: "busybox")
            }
        }
        try Files.replace(path("config.json"), with: spec.serialized())
    }

    struct Outcome {
        let status: LinuxSystem.ExitStatus
        let output: String
        let error: String
    }

    /// The launcher that was built beside the tests.
    static func program(_ name: String) throws -> String {
        "\(Files.directory(of: try Files.linkTarget("/proc/self/exe")))/\(name)"
    }

    /// Calls the launcher and waits for it.
    @discardableResult
    func launch(_ arguments: [String]) throws -> Outcome {
        let output = try FileDescriptor.open(path("output"), [.readWrite, .create, .truncate])
        let error = try FileDescriptor.open(path("error"), [.readWrite, .create, .truncate])
        let input = try FileDescriptor.open("/dev/null", .read)
        var spawner = ProcessSpawner(
            path: try Self.program("swiftlet-launcher"),
            arguments: ["swiftlet-launcher", "--root", path("state")] + arguments,
            environment: ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"])
        spawner.descriptors = [(input.rawValue, 0), (output.rawValue, 1), (error.rawValue, 2)]
        let child = try spawner.start()
        guard try Polling.wait(child.process, .readable, timeout: 30_000) else {
            try Processes.signal(child.process, Signals.kill)
            throw LauncherError("the launcher hangs: \(arguments)")
        }
        let status = try Processes.wait(for: child.process)
        return Outcome(
            status: status, output: try Files.readText(path("output")), error: try Files.readText(path("error")))
    }

    /// Runs the bundle with a program in the foreground.
    func run(_ arguments: [String]) throws -> Outcome {
        try writeBundle(arguments)
        return try launch(["run", "--bundle", directory, id])
    }

    /// Runs a shell script in the container.
    func run(script: String) throws -> Outcome { try run(["sh", "-c", script]) }

    func state() throws -> ContainerState {
        try ContainerState(parsing: Array(try launch(["state", id]).output.utf8))
    }
}
