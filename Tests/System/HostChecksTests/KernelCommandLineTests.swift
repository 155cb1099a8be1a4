// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import HostChecks

@Suite struct KernelCommandLineTests {
    private let words = KernelCommandLine.memoryWords

    private func adding(_ content: String) throws -> String {
        try KernelCommandLine.adding(words, to: content, path: "cmdline.txt")
    }

    @Test func onlyMissingWordsAreAdded() throws {
        #expect(try adding("root=x rootwait\n") == "root=x rootwait cgroup_enable=memory cgroup_memory=1\n")
        #expect(try adding("cgroup_memory=1 root=x") == "cgroup_memory=1 root=x cgroup_enable=memory")
        let whole = "cgroup_memory=1 cgroup_enable=memory root=x  \n"
        #expect(try adding(whole) == whole)
    }

    @Test func theEndStaysAsItWas() throws {
        #expect(try adding("a") == "a cgroup_enable=memory cgroup_memory=1")
        #expect(try adding("a \n\n") == "a cgroup_enable=memory cgroup_memory=1 \n\n")
        #expect(try adding("a\r\n") == "a cgroup_enable=memory cgroup_memory=1\r\n")
    }

    @Test(arguments: ["", "\n\n", "root=x\nrootwait\n", "# a comment\n", "a\u{0}b\n"])
    func whatIsNoCommandLineIsRefused(_ content: String) {
        #expect(throws: KernelCommandLine.EditError.self) { try adding(content) }
    }

    @Test func theFixKeepsABackupAndCanBeRepeated() throws {
        let pi = try RecordedBoard(Recordings.raspberryPiOS)
        let path = "/boot/firmware/cmdline.txt"
        let old = try pi.text(path)
        let fix = try #require(pi.finding("MemoryCgroupDisabled")?.fix)
        #expect(fix.needsReboot)
        _ = try fix.apply(in: pi.root)
        let new = try pi.text(path)
        #expect(new == old.dropLast() + " cgroup_enable=memory cgroup_memory=1\n")
        _ = try fix.apply(in: pi.root)
        #expect(try pi.text(path) == new)
        #expect(try pi.text(path + ".before-swiftlet") == old)
        #expect(try Files.names(in: pi.root + "/boot/firmware").count == 2)
        #expect(pi.finding("MemoryCgroupDisabled")?.fix == nil)
    }

    @Test func aRefusedFileStaysAsItIs() throws {
        let pi = try RecordedBoard(Recordings.raspberryPiOS)
        let path = "/boot/firmware/cmdline.txt"
        try pi.write(path, "root=x\nquiet\n")
        let error = #expect(throws: KernelCommandLine.EditError.self) {
            try Fix.kernelCommandLine(path: path, words: words).apply(in: pi.root)
        }
        #expect(error?.description.contains("by hand") == true)
        #expect(try pi.text(path) == "root=x\nquiet\n")
        #expect(try Files.names(in: pi.root + "/boot/firmware") == ["cmdline.txt"])
    }

    @Test func variablesAreKeptOnce() throws {
        let machine = try RecordedBoard()
        let fix = Fix.kernelVariable("fs.inotify.max_user_instances", value: "512")
        _ = try fix.apply(in: machine.root)
        _ = try fix.apply(in: machine.root)
        #expect(try machine.text("/etc/sysctl.d/90-swiftlet.conf") == "fs.inotify.max_user_instances = 512\n")
    }
}
