// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec
import Testing

@testable import Launcher

@Suite struct MountOptionsTests {
    @Test func flagsPropagationAndDataAreToldApart() {
        let options = MountOptions(["nosuid", "noexec", "ro", "rslave", "size=64k", "mode=755", "defaults"])
        #expect(options.flags == [.noSetUserID, .noExecute, .readOnly])
        #expect(options.propagation == [[.slave, .recursive]])
        #expect(options.data == ["size=64k", "mode=755"])
        #expect(!options.isBind)
    }

    @Test func aLaterOptionTakesAnEarlierOneBack() {
        let options = MountOptions(["ro", "rw", "dev", "nodev"])
        #expect(options.flags == [.noDevices])
        #expect(options.cleared == [.readOnly])
    }

    @Test func bindMountsAskForAttributes() {
        let attributes = MountOptions(["rbind", "ro", "exec", "noatime"]).bindAttributes
        #expect(attributes.set == [.readOnly, .noAccessTime])
        #expect(attributes.clear == [.noExecute, .accessTimeMask])
    }

    @Test func recursiveOptionsConcernTheWholeTree() {
        let options = MountOptions(["rbind", "rro", "rnosuid", "rsuid", "rnoatime"])
        #expect(options.recursiveSet == [.readOnly, .noAccessTime])
        #expect(options.recursiveClear == [.noSetUserID, .accessTimeMask])
    }

    @Test func everyNameOfTheListIsUnderstood() {
        // What is not understood would end up as the file system's own data.
        for name in MountOptions.names { #expect(MountOptions([name]).data.isEmpty, "\(name)") }
    }
}

@Suite struct OptionParserTests {
    let parser = OptionParser(
        flags: ["force", "tty", "detach"], values: ["bundle", "env"],
        short: ["f": "force", "b": "bundle", "e": "env", "t": "tty", "d": "detach"], stopsAtFirstArgument: true)

    @Test func longShortAndJoinedForms() throws {
        let result = try parser.parse(["--force", "-b", "/x", "--env=A=b", "-e", "C=d", "-td", "id", "--bundle", "-x"])
        #expect(result.has("force") && result.has("tty") && result.has("detach"))
        #expect(result.value("bundle") == "/x")
        #expect(result.values("env") == ["A=b", "C=d"])
        #expect(result.arguments == ["id", "--bundle", "-x"])
    }

    @Test func twoDashesEndTheOptions() throws {
        var parser = parser
        parser.stopsAtFirstArgument = false
        let result = try parser.parse(["id", "-f", "--", "-f", "x"])
        #expect(result.arguments == ["id", "-f", "x"])
        #expect(result.has("force"))
    }

    @Test(arguments: [["--nope"], ["-x"], ["-fx"], ["--bundle"]])
    func mistakesAreNamed(arguments: [String]) {
        let error = #expect(throws: LauncherError.self) { try parser.parse(arguments) }
        #expect(error?.description.contains(arguments[0]) == true)
    }
}

@Suite struct CgroupDevicesTests {
    @Test func rulesInTheWordsOfCgroupV1() {
        #expect(CgroupDevices.line(.init(allow: false, access: "rwm")) == "a")
        #expect(CgroupDevices.line(.init(allow: true, type: "c", major: 1, minor: 3, access: "rw")) == "c 1:3 rw")
        #expect(CgroupDevices.line(.init(allow: true, type: "b", major: -1)) == "b *:* rwm")
    }

    /// Runs the program on one access as the kernel would.
    private func run(_ program: [UInt64], type: UInt32, access: UInt32, major: UInt32, minor: UInt32) -> UInt64? {
        let context = [type | access << 16, major, minor]
        var registers = [UInt64](repeating: 0, count: 11)
        var position = 0
        while position < program.count {
            let word = program[position]
            let destination = Int(word >> 8 & 15)
            let source = Int(word >> 12 & 15)
            let offset = Int(word >> 16 & 0xFFFF)
            let immediate = UInt64(word >> 32)
            position += 1
            switch word & 0xFF {
            case 0x61: registers[destination] = UInt64(context[offset / 4])
            case 0x54: registers[destination] &= immediate
            case 0x74: registers[destination] >>= immediate
            case 0xB7: registers[destination] = immediate
            case 0xBC: registers[destination] = registers[source]
            case 0x15: if registers[destination] == immediate { position += offset }
            case 0x55: if registers[destination] != immediate { position += offset }
            case 0x5D: if registers[destination] != registers[source] { position += offset }
            case 0x95: return registers[0]
            default: return nil
            }
        }
        return nil
    }

    @Test func theProgramDecidesByTheLastRuleThatMatches() throws {
        var spec = Features.exampleSpec
        spec.linux.resources?.devices.append(.init(allow: true, type: "c", major: 10, minor: 229, access: "rw"))
        let program = CgroupDevices(spec).program
        // BPF_DEVCG_DEV_CHAR is 2, BLOCK 1; MKNOD 1, READ 2, WRITE 4.
        #expect(run(program, type: 2, access: 2, major: 1, minor: 3) == 1)
        #expect(run(program, type: 2, access: 6, major: 136, minor: 7) == 1)
        #expect(run(program, type: 2, access: 6, major: 10, minor: 229) == 1)
        #expect(run(program, type: 1, access: 1, major: 8, minor: 0) == 1)
        #expect(run(program, type: 1, access: 2, major: 8, minor: 0) == 0)
        #expect(run(program, type: 2, access: 3, major: 10, minor: 200) == 0)
    }

    /// The kernel verifies programs, and refuses those with instructions that are never reached.
    @Test(
        arguments: [
            [], [.init(allow: false, access: "rwm")], [.init(allow: true, type: "c", major: 1, minor: 3)],
            [.init(allow: true, type: "c", access: "m"), .init(allow: true, type: "a", access: "rwm")],
        ] as [[RuntimeSpec.DeviceRule]])
    func theKernelTakesTheProgram(rules: [RuntimeSpec.DeviceRule]) throws {
        // The unified hierarchy is there also beside those of version 1.
        let hierarchy = try #require(try MountInfo.current().first { $0.type == "cgroup2" })
        let directory =
            "\(hierarchy.mountPoint)/launcher-test-devices-\(Processes.current)-\(rules.count)-\(rules.hashValue)"
        var spec = Features.exampleSpec
        spec.linux.resources?.devices += rules
        try Files.makeDirectories(directory)
        do {
            try DeviceFilter.attach(CgroupDevices(spec).program, to: directory)
        } catch {
            Issue.record("\(error)")
        }
        try Files.removeDirectory(directory)
    }
}

@Suite struct ConversionTests {
    @Test(
        arguments: [(2, 1), (1024, 100), (262_144, 10000), (1, 1), (512, 59), (100_000_000, 10000)] as [(UInt64, Int)])
    func sharesBecomeWeights(shares: UInt64, weight: Int) {
        #expect(CgroupResources.weight(shares: shares) == weight)
    }

    @Test(arguments: ["", ".", "..", "a/b", "a b", "ä"])
    func namesThatAreNoComponentAreRefused(id: String) {
        #expect(throws: LauncherError.self) { try StateStore.validate(id: id) }
    }
}
