// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxSystem

@Suite struct ProcessSpawnerTests {
    private func output(of spawner: ProcessSpawner, extra: [(from: CInt, to: CInt)] = []) throws -> String {
        var spawner = spawner
        let pipe = try Sockets.pipe()
        spawner.descriptors = [(pipe.second.rawValue, 1)] + extra
        let child = try spawner.start()
        let reader = pipe.takeFirst()
        let text = String(decoding: try reader.readAll(), as: UTF8.self)
        #expect(try Processes.wait(for: child.process) == .exited(0))
        return text
    }

    @Test func passesArgumentsEnvironmentAndDirectory() throws {
        var spawner = ProcessSpawner(
            path: "/bin/sh", arguments: ["sh", "-c", "echo $0 $1 $GREETING; pwd", "zero", "one"],
            environment: ["GREETING=hi"])
        spawner.directory = "/usr"
        #expect(try output(of: spawner) == "zero one hi\n/usr\n")
    }

    @Test func givesTheChildOnlyTheDescriptorsAskedFor() throws {
        let leak = try Sockets.pipe()
        try leak.first.setCloseOnExec(false)
        let spawner = ProcessSpawner(path: "/bin/ls", arguments: ["ls", "/proc/self/fd"])
        // ls opens the directory itself as 3, or as the next free number.
        #expect(try output(of: spawner) == "0\n1\n2\n3\n")
        _ = leak.takeFirst()
    }

    @Test func descriptorsMaySwapTheirNumbers() throws {
        let first = try Sockets.pipe()
        let second = try Sockets.pipe()
        try first.second.writeAll("first")
        try second.second.writeAll("second")
        let (a, b) = (first.first.rawValue, second.first.rawValue)
        let spawner = ProcessSpawner(
            path: "/bin/bash",
            arguments: ["bash", "-c", "read -N 6 x <&\(a); read -N 5 y <&\(b); echo $x $y"])
        #expect(try output(of: spawner, extra: [(a, b), (b, a)]) == "second first\n")
    }

    @Test func aMissingProgramIsAnErrorNotAChild() throws {
        let error = #expect(throws: SystemError.self) {
            _ = try ProcessSpawner(path: "/no/such/program", arguments: ["x"]).start()
        }
        #expect(error == SystemError("exec", "/no/such/program", errno: Errno.ENOENT))
        var spawner = ProcessSpawner(path: "/bin/true", arguments: ["true"])
        spawner.directory = "/no/such/directory"
        let other = #expect(throws: SystemError.self) { _ = try spawner.start() }
        #expect(other?.call == "changing directory for")
    }

    @Test func signalsStartFresh() throws {
        try Signals.ignore(Signals.pipe)
        // Bit 12 of SigIgn is SIGPIPE; the mask of blocked signals is empty.
        let spawner = ProcessSpawner(
            path: "/bin/grep", arguments: ["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"])
        #expect(
            try output(of: spawner) == "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n")
    }

    @Test func entersACgroupBeforeTheProgramRuns() throws {
        let cgroups = try Cgroups.current()
        let group = "/launcher-spawn-test-\(Processes.current)"
        try cgroups.create(group)
        defer { #expect(throws: Never.self) { try cgroups.remove(group) } }
        var spawner = ProcessSpawner(path: "/bin/cat", arguments: ["cat", "/proc/self/cgroup"])
        spawner.cgroupProcs = try cgroups.openProcs(of: group)
        defer { for number in spawner.cgroupProcs { _ = FileDescriptor(owning: number) } }
        let membership = Cgroups.membership(try output(of: spawner))
        for hierarchy in cgroups.hierarchies {
            for controller in hierarchy.controllers { #expect(membership[controller] == group) }
        }
    }

    @Test func aSessionOfItsOwn() throws {
        var spawner = ProcessSpawner(path: "/bin/sh", arguments: ["sh", "-c", "cut -d' ' -f1,6 /proc/$$/stat"])
        spawner.startsSession = true
        let fields = try output(of: spawner).split(whereSeparator: { $0 == " " || $0 == "\n" })
        #expect(fields.count == 2 && fields[0] == fields[1])
    }
}
