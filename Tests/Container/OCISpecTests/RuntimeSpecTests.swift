// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import OCISpec

@Suite struct RuntimeSpecTests {
    /// Every member that the model knows, in the order in which it writes them.
    static let complete = #"""
        {"ociVersion":"1.2.1","process":{"terminal":true,"consoleSize":{"height":24,"width":80},
        "user":{"uid":1000,"gid":1001,"umask":18,"additionalGids":[5,6]},"args":["/bin/sh","-c","true"],
        "env":["PATH=/bin"],"cwd":"/srv","capabilities":{"bounding":["CAP_KILL"],"ambient":["CAP_KILL"]},
        "rlimits":[{"type":"RLIMIT_NOFILE","soft":1024,"hard":4096}],"noNewPrivileges":true,"oomScoreAdj":-998,
        "scheduler":{"policy":"SCHED_OTHER","nice":5},"ioPriority":{"class":"IOPRIO_CLASS_BE","priority":4}},
        "root":{"path":"rootfs","readonly":true},"hostname":"web-0","mounts":[{"destination":"/proc","type":"proc",
        "source":"proc","options":["nosuid"]},{"destination":"/data","source":"/srv/data","options":["rbind","rro"],
        "uidMappings":[{"containerID":0,"hostID":100000,"size":65536}]}],
        "hooks":{"createRuntime":[{"path":"/bin/hook","args":["hook","x"],"env":["A=b"],"timeout":5}]},
        "annotations":{"a.b/c":"d"},"linux":{"uidMappings":[{"containerID":0,"hostID":100000,"size":65536}],
        "sysctl":{"net.ipv4.ip_forward":"1"},"resources":{"devices":[{"allow":false,"access":"rwm"},
        {"allow":true,"type":"c","major":1,"minor":3,"access":"rw"}],"memory":{"limit":67108864,"swap":-1},
        "cpu":{"shares":512,"quota":50000,"period":100000,"cpus":"0-1"},"pids":{"limit":64},
        "blockIO":{"weight":500,"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1048576}]},
        "hugepageLimits":[{"pageSize":"2MB","limit":4194304}],"unified":{"memory.high":"50000000"}},
        "cgroupsPath":"/pods/x","namespaces":[{"type":"pid"},{"type":"network","path":"/run/ns/1"}],
        "devices":[{"path":"/dev/fuse","type":"c","major":10,"minor":229,"fileMode":438,"uid":0,"gid":0}],
        "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,"architectures":["SCMP_ARCH_X86_64"],
        "syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW","args":[{"index":0,"value":2114060288,
        "op":"SCMP_CMP_MASKED_EQ"}]}]},"rootfsPropagation":"rslave","maskedPaths":["/proc/kcore"],
        "readonlyPaths":["/proc/sys"],"personality":{"domain":"LINUX"},
        "timeOffsets":{"monotonic":{"secs":-5,"nanosecs":10}}}}
        """#.split(separator: "\n").joined()

    @Test func readingAndWritingKeepsEveryMember() throws {
        let spec = try RuntimeSpec(parsing: Array(Self.complete.utf8))
        #expect(String(decoding: spec.serialized(), as: UTF8.self) == Self.complete)
    }

    @Test func readsTheMembersIntoTheirFields() throws {
        let spec = try RuntimeSpec(parsing: Array(Self.complete.utf8))
        #expect(spec.process?.user.additionalGids == [5, 6])
        #expect(spec.process?.user.umask == 0o022)
        #expect(spec.linux.namespaces == [.init(.pid), .init(.network, path: "/run/ns/1")])
        #expect(spec.linux.resources?.memory?.swap == -1)
        #expect(spec.linux.seccomp?.syscalls.first?.args.first?.value == 2_114_060_288)
        #expect(spec.linux.timeOffsets["monotonic"]?.secs == -5)
        #expect(spec.mounts[1].uidMappings.first?.hostID == 100_000)
    }

    @Test func unknownMembersAndNullsAreIgnored() throws {
        let text = #"{"ociVersion":"1.0.2","process":null,"solaris":{"x":1},"linux":{"namespaces":null}}"#
        let spec = try RuntimeSpec(parsing: Array(text.utf8))
        #expect(spec.process == nil)
        #expect(spec.linux.namespaces.isEmpty)
    }

    @Test func anInfiniteLimitIsTheLargestInteger() throws {
        let text = #"{"type":"RLIMIT_CORE","soft":0,"hard":18446744073709551615}"#
        let limit = try RuntimeSpec.ResourceLimit(parsing: Array(text.utf8))
        #expect(limit.hard == UInt64.max)
        #expect(try RuntimeSpec.ResourceLimit(parsing: limit.serialized()) == limit)
    }

    @Test(arguments: [
        (#"[]"#, "expected an object, found array"),
        (#"{}"#, "ociVersion: is required"),
        (#"{"ociVersion":1}"#, "ociVersion: expected a string, found number"),
        (
            #"{"ociVersion":"1","process":{"args":["a",2],"cwd":"/"}}"#,
            "process.args[1]: expected a string, found number"
        ),
        (
            #"{"ociVersion":"1","linux":{"namespaces":[{"type":"pid"},{"type":"net"}]}}"#,
            "linux.namespaces[1].type: unknown value \"net\", expected one of pid, network, mount, ipc, uts, user, "
                + "cgroup, time"
        ),
        (
            #"{"ociVersion":"1","process":{"cwd":"/","user":{"uid":-1}}}"#,
            "process.user.uid: -1 is not in 0...4294967295"
        ),
        (#"{"ociVersion":"1","mounts":[{"type":"proc"}]}"#, "mounts[0].destination: is required"),
        (#"{"ociVersion":"1","linux":{"sysctl":{"a":1}}}"#, "linux.sysctl.a: expected a string, found number"),
        (#"{"ociVersion":"1","#, "unexpected end of JSON input (line 1, column 19)"),
    ])
    func errorsNameThePath(text: String, message: String) {
        let error = #expect(throws: OCISpecError.self) { try RuntimeSpec(parsing: Array(text.utf8)) }
        #expect(error?.description == message)
    }

    @Test func stateIsWrittenAsHooksExpectIt() throws {
        let state = ContainerState(id: "c1", status: .created, pid: 42, bundle: "/b", annotations: ["k": "v"])
        #expect(
            String(decoding: state.serialized(), as: UTF8.self)
                == #"{"ociVersion":"1.2.1","id":"c1","status":"created","pid":42,"bundle":"/b","annotations":{"k":"v"}}"#
        )
        #expect(try ContainerState(parsing: state.serialized()) == state)
    }
}
