// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxSystem

@Suite struct MountInfoTests {
    @Test func readsOptionalFieldsAndEscapes() throws {
        let line = #"36 35 98:0 /mnt1 /mnt\0402\134x rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue"#
        let mount = try #require(MountInfo(line: Substring(line)))
        #expect(mount.id == 36)
        #expect(mount.parentID == 35)
        #expect(mount.device == "98:0")
        #expect(mount.root == "/mnt1")
        #expect(mount.mountPoint == #"/mnt 2\x"#)
        #expect(mount.options == "rw,noatime")
        #expect(mount.propagation == ["master:1", "shared:7"])
        #expect(mount.type == "ext3")
        #expect(mount.source == "/dev/root")
        #expect(mount.superOptions == "rw,errors=continue")
    }

    @Test(arguments: ["", "1 2 3", "36 35 98:0 / /mnt rw,noatime ext3 /dev/root rw x y", "x 35 98:0 / /m rw - a b c"])
    func refusesOtherLines(line: String) {
        #expect(MountInfo(line: Substring(line)) == nil)
    }

    @Test func theRunningKernelsTableIsUnderstoodWhole() throws {
        let text = String(decoding: try Files.read("/proc/self/mountinfo"), as: UTF8.self)
        #expect(MountInfo.parse(text).count == text.split(separator: "\n").count)
        #expect(try MountInfo.current().contains { $0.mountPoint == "/proc" && $0.type == "proc" })
    }
}

@Suite struct CgroupLayoutTests {
    static let v1 = """
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
        35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
        40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
        41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
        42 99 0:32 /x /elsewhere/memory rw,relatime - cgroup cgroup rw,memory
        """
    static let v2 =
        "26 23 0:24 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot"

    @Test func hybridMachinesUseTheirV1Hierarchies() {
        let cgroups = Cgroups(mounts: MountInfo.parse(Self.v1))
        #expect(!cgroups.isUnified)
        #expect(cgroups.hierarchies.map(\.controllers) == [["cpu", "cpuacct"], ["memory"], ["name=systemd"]])
        #expect(cgroups.directory(of: "/a//b/", controller: "cpuacct") == "/sys/fs/cgroup/cpu,cpuacct/a/b")
        #expect(cgroups.directory(of: "/a", controller: "pids") == nil)
        #expect(cgroups.hybridUnified?.mountPoint == "/sys/fs/cgroup/unified")
    }

    @Test func unifiedMachinesHaveOneHierarchyForAll() {
        let cgroups = Cgroups(mounts: MountInfo.parse(Self.v2))
        #expect(cgroups.isUnified)
        #expect(cgroups.directory(of: "/a", controller: "memory") == "/sys/fs/cgroup/a")
        #expect(cgroups.directories(of: "/") == ["/sys/fs/cgroup"])
    }

    @Test func membershipIsReadByController() {
        let text = "9:name=systemd:/\n4:memory:/process_api/9e\n2:cpu,cpuacct:/x:y\n0::/user.slice"
        #expect(
            Cgroups.membership(text) == [
                "name=systemd": "/", "memory": "/process_api/9e", "cpu": "/x:y", "cpuacct": "/x:y", "": "/user.slice",
            ])
    }

    @Test(arguments: [
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 3", 3), ("low 0\nhigh 1\nmax 5\noom 2\noom_kill 1\n", 1), ("", 0),
    ])
    func countsKillsInBothFormats(text: String, count: Int) {
        #expect(Cgroups.counter("oom_kill", in: text) == count)
    }
}

@Suite struct NameTests {
    @Test(
        arguments: [
            ("TERM", 15), ("SIGKILL", 9), ("sigusr1", 10), ("9", 9), ("RTMIN", 34), ("SIGRTMIN+3", 37), ("RTMAX-1", 63),
            ("0", nil), ("65", nil), ("SIGFOO", nil), ("RTMIN-1", nil), ("RTMAX+1", nil), ("", nil),
        ] as [(String, Int32?)])
    func signalNames(text: String, number: Int32?) { #expect(Signals.number(text) == number) }

    @Test func capabilityNames() {
        #expect(CapabilitySet(name: "CAP_CHOWN")?.numbers == [0])
        #expect(CapabilitySet(name: "net_admin")?.numbers == [12])
        #expect(CapabilitySet(name: "CAP_CHECKPOINT_RESTORE")?.numbers == [40])
        #expect(CapabilitySet(name: "CAP_EVERYTHING") == nil)
    }
}

@Suite struct HostPortTests {
    @Test func onlyIPv6AddressesHaveBrackets() {
        #expect(HostPort.text("192.168.1.20", 16443) == "192.168.1.20:16443")
        #expect(HostPort.text("pi.local", 80) == "pi.local:80")
        for (text, host, port) in [
            ("pi.local:81", "pi.local", 81), ("pi.local", "pi.local", 80), ("pi.local:", "pi.local", 80),
            ("[fd00::1]:81", "fd00::1", 81), ("[fd00::1]", "fd00::1", 80),
        ] {
            let found = HostPort.split(text, defaultPort: 80)
            #expect(found?.host == host && found?.port == port, "\(text)")
        }
        for text in ["", ":80", "a:b", "a:0", "a:65536", "fd00::1", "[fd00::1", "[fd00::1]x", "a]:1"] {
            #expect(HostPort.split(text, defaultPort: 80) == nil, "\(text)")
        }
        #expect(HostPort.text("fd00::1", 16443) == "[fd00::1]:16443")
        #expect(HostPort.bracketed("::1") == "[::1]" && HostPort.bracketed("pi") == "pi")
    }
}

@Suite struct TimestampTests {
    @Test(
        arguments: [
            (0, 0, "1970-01-01T00:00:00.000000000Z"), (951_782_400, 5, "2000-02-29T00:00:00.000000005Z"),
            (1_767_225_599, 999_999_999, "2025-12-31T23:59:59.999999999Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000000000Z"), (-1, 0, "1969-12-31T23:59:59.000000000Z"),
        ] as [(Int64, Int64, String)])
    func timestamps(seconds: Int64, nanoseconds: Int64, text: String) {
        #expect(FileTime(seconds: seconds, nanoseconds: nanoseconds).rfc3339 == text)
    }
}
