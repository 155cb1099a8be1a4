// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec
import Testing

@testable import Launcher

/// Real containers of busybox; they need root.
@Suite(.serialized) struct ContainerTests {
    @Test func runReturnsTheProgramsCodeAndLeavesNothing() throws {
        let fixture = try Fixture()
        let outcome = try fixture.run(script: "echo out; echo err >&2; exit 7")
        #expect(outcome.status == .exited(7))
        #expect(outcome.output == "out")
        #expect(outcome.error.hasSuffix("err"))
        #expect(try Files.names(in: fixture.path("state")).isEmpty)
        #expect(try !Cgroups.current().exists(fixture.group))
        // The kernel shields the first process of a PID namespace from its own signals.
        fixture.spec.linux.namespaces.removeAll { $0.type == .pid }
        #expect(try fixture.run(script: "kill -9 $$").status == .exited(137))
    }

    @Test func namespacesHostnameAndRightsAreTheContainersOwn() throws {
        let fixture = try Fixture()
        fixture.spec.hostname = "inside"
        let outcome = try fixture.run(
            script: """
                hostname; echo $$; cat /proc/sys/kernel/hostname
                while read key value; do case $key in CapEff:|NoNewPrivs:|Groups:) echo $key $value;; esac; done \
                < /proc/self/status
                touch /x 2>/dev/null || echo read-only; cat /proc/kcore >/dev/null 2>&1 ; cat /proc/keys
                mkdir /proc/sys/x 2>/dev/null || echo protected
                """)
        #expect(
            outcome.output == """
                inside
                1
                inside
                Groups:
                CapEff: 0000000020000420
                NoNewPrivs: 1
                read-only
                protected
                """, "\(outcome)")
    }

    @Test(.enabled(if: !SecurityModules.hasAppArmor() && !Files.exists("/sys/fs/selinux")))
    func aLabelThatWouldNotHoldIsAnError() throws {
        let fixture = try Fixture()
        fixture.spec.process?.apparmorProfile = "strict"
        let outcome = try fixture.run(["true"])
        #expect(outcome.status == .exited(1))
        #expect(outcome.error.contains("AppArmor is not enabled on the host"), "\(outcome)")
        fixture.spec.process?.apparmorProfile = nil
        fixture.spec.process?.selinuxLabel = "system_u:system_r:container_t:s0"
        #expect(try fixture.run(["true"]).error.contains("the kernel has no SELinux"))
    }

    @Test func theLifeOfAContainerStepByStep() throws {
        let fixture = try Fixture()
        try fixture.writeBundle(["sleep", "1000"])
        let pidFile = fixture.path("pid")
        #expect(
            try fixture.launch(["create", "--bundle", fixture.directory, "--pid-file", pidFile, fixture.id]).status
                == .exited(0))
        var state = try fixture.state()
        #expect(state.status == .created)
        #expect(try state.pid == Int32(Files.readText(pidFile)))
        #expect(try fixture.launch(["create", "--bundle", fixture.directory, fixture.id]).status == .exited(1))
        #expect(try fixture.launch(["start", fixture.id]).status == .exited(0))
        state = try fixture.state()
        #expect(state.status == .running)
        #expect(try fixture.launch(["start", fixture.id]).status == .exited(1))
        #expect(try fixture.launch(["delete", fixture.id]).error.contains("not stopped"))
        #expect(try fixture.launch(["pause", fixture.id]).status == .exited(0))
        #expect(try fixture.state().status == .paused)
        #expect(try fixture.launch(["resume", fixture.id]).status == .exited(0))
        #expect(try fixture.launch(["kill", fixture.id, "KILL"]).status == .exited(0))
        let pid = try #require(state.pid)
        while try Processes.startTime(of: pid) != nil { Processes.sleep(milliseconds: 1) }
        #expect(try fixture.state().status == .stopped)
        #expect(try fixture.launch(["delete", fixture.id]).status == .exited(0))
        #expect(try fixture.launch(["state", fixture.id]).error.contains("does not exist"))
    }

    @Test func limitsAreVisibleAndCanChange() throws {
        let fixture = try Fixture()
        var resources = RuntimeSpec.Resources()
        resources.memory = .init(limit: 64 << 20)
        resources.cpu = .init(shares: 512, quota: 50000, period: 100_000)
        resources.pids = .init(limit: 33)
        fixture.spec.linux.resources = resources
        try fixture.writeBundle(["sleep", "1000"])
        #expect(
            try fixture.launch(["run", "--detach", "--bundle", fixture.directory, fixture.id]).status == .exited(0))
        let cgroups = try Cgroups.current()
        func value(_ controller: String, _ v1: String, _ v2: String) throws -> String {
            let directory = try #require(cgroups.directory(of: fixture.group, controller: controller))
            return try Files.readText("\(directory)/\(cgroups.isUnified ? v2 : v1)")
        }
        #expect(try value("memory", "memory.limit_in_bytes", "memory.max") == "67108864")
        #expect(try value("pids", "pids.max", "pids.max") == "33")
        #expect(try value("cpu", "cpu.cfs_quota_us", "cpu.max").hasPrefix("50000"))
        #expect(try fixture.launch(["update", "--memory", "33554432", fixture.id]).status == .exited(0))
        #expect(try value("memory", "memory.limit_in_bytes", "memory.max") == "33554432")
        #expect(try fixture.launch(["delete", "--force", fixture.id]).status == .exited(0))
        #expect(!cgroups.exists(fixture.group))
    }

    @Test func execEntersTheContainer() throws {
        let fixture = try Fixture()
        try fixture.writeBundle(["sleep", "1000"])
        #expect(try fixture.launch(["run", "-d", "-b", fixture.directory, fixture.id]).status == .exited(0))
        let outcome = try fixture.launch([
            "exec", "--env", "GREETING=hi", "--user", "65534:65534", "--cwd", "/proc", fixture.id, "sh", "-c",
            "echo $GREETING; id -u; hostname; cat /proc/1/comm; exit 3",
        ])
        #expect(outcome.status == .exited(3))
        #expect(outcome.output == "hi\n65534\nswiftlet\nsleep", "\(outcome)")
        let missing = try fixture.launch(["exec", fixture.id, "nope"])
        #expect(missing.status == .exited(1))
        #expect(missing.error.contains("executable file not found in $PATH"))
        let terminal = try fixture.launch(["exec", "--tty", fixture.id, "sh", "-c", "test -t 0 && echo terminal"])
        #expect(terminal.output.hasPrefix("terminal"), "\(terminal)")
        #expect(try fixture.launch(["ps", "--format", "json", fixture.id]).output.hasPrefix("["))
        #expect(try fixture.launch(["delete", "--force", fixture.id]).status == .exited(0))
    }

    @Test func filtersKeepSystemCallsOff() throws {
        let fixture = try Fixture()
        var seccomp = RuntimeSpec.Seccomp(defaultAction: "SCMP_ACT_ALLOW")
        seccomp.syscalls = [
            .init(names: ["mkdir", "mkdirat", "no_such_call"], action: "SCMP_ACT_ERRNO", errnoRet: 95)
        ]
        fixture.spec.linux.seccomp = seccomp
        fixture.spec.root?.readonly = false
        for noNewPrivileges in [true, false] {
            fixture.spec.process?.noNewPrivileges = noNewPrivileges
            let outcome = try fixture.run(script: "mkdir /made")
            #expect(outcome.error.contains("Operation not supported"), "\(outcome)")
        }
        fixture.spec.linux.seccomp?.syscalls[0].action = "SCMP_ACT_NOTIFY"
        #expect(try fixture.run(["true"]).error.contains("SCMP_ACT_NOTIFY is not supported"))
    }

    @Test func hooksRunInOrderWithTheState() throws {
        let fixture = try Fixture()
        let trace = fixture.path("trace")
        func hook(_ name: String) -> [RuntimeSpec.Hook] {
            [
                .init(
                    path: "/bin/sh", args: ["sh", "-c", "echo \(name) $(cat | tr -d '{}\"' | cut -d, -f3) >> \(trace)"])
            ]
        }
        fixture.spec.hooks.prestart = hook("prestart")
        fixture.spec.hooks.createRuntime = hook("createRuntime")
        fixture.spec.hooks.poststart = hook("poststart")
        fixture.spec.hooks.poststop = hook("poststop")
        #expect(try fixture.run(["sleep", "0.2"]).status == .exited(0))
        #expect(
            try Files.readText(trace) == """
                prestart status:creating
                createRuntime status:creating
                poststart status:running
                poststop status:stopped
                """)
        fixture.spec.hooks = .init()
        fixture.spec.hooks.createRuntime = [.init(path: "/bin/false")]
        let failed = try fixture.run(["true"])
        #expect(failed.status == .exited(1))
        #expect(failed.error.contains("createRuntime hook #0 (/bin/false): exited with code 1"), "\(failed)")
        #expect(try !Cgroups.current().exists(fixture.group))
        #expect(try Files.names(in: fixture.path("state")).isEmpty)
    }

    @Test func mountsOfAllKinds() throws {
        let fixture = try Fixture()
        try Files.makeDirectories(fixture.path("source/sub"))
        try Files.replace(fixture.path("source/file"), with: Array("content".utf8))
        fixture.spec.mounts += [
            .init(destination: "/data", source: fixture.path("source"), options: ["rbind", "ro"]),
            .init(destination: "/one", source: "source/file", options: ["bind"]),
            .init(destination: "/bin2", type: "bind", source: "rootfs/bin", options: ["bind", "noexec"]),
            .init(destination: "/copy", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup", "size=8m"]),
        ]
        try fixture.writeBundle(["true"])
        try Files.makeDirectories(fixture.path("rootfs/copy/deep"))
        try Files.replace(fixture.path("rootfs/copy/deep/x"), with: Array("copied".utf8))
        let outcome = try fixture.run(
            script: """
                cat /data/file; echo; cat /one; echo; touch /data/new 2>/dev/null || echo read-only
                /bin2/true 2>/dev/null || echo no-exec; cat /copy/deep/x; echo; touch /copy/new && echo writable
                """)
        #expect(outcome.output == "content\ncontent\nread-only\nno-exec\ncopied\nwritable", "\(outcome)")
    }

    @Test func namespacesCanBeJoinedByPath() throws {
        let first = try Fixture()
        first.spec.hostname = "shared"
        try first.writeBundle(["sleep", "1000"])
        #expect(try first.launch(["run", "-d", "-b", first.directory, first.id]).status == .exited(0))
        let pid = try #require(try first.state().pid)
        let second = try Fixture()
        second.spec.hostname = nil
        second.spec.linux.namespaces = [
            .init(.mount), .init(.pid, path: "/proc/\(pid)/ns/pid"), .init(.uts, path: "/proc/\(pid)/ns/uts"),
            .init(.network, path: "/proc/\(pid)/ns/net"), .init(.ipc, path: "/proc/\(pid)/ns/ipc"),
        ]
        let outcome = try second.run(script: "hostname; cat /proc/1/comm")
        #expect(outcome.output == "shared\nsleep", "\(outcome)")
        #expect(try first.launch(["delete", "--force", first.id]).status == .exited(0))
    }

    @Test func userNamespacesMapIds() throws {
        let fixture = try Fixture()
        fixture.spec.linux.namespaces.append(.init(.user))
        fixture.spec.linux.uidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        fixture.spec.linux.gidMappings = [.init(containerID: 0, hostID: 100_000, size: 65536)]
        // The image belongs to somebody who is nobody in there, so nothing can be made in it.
        for name in ["proc", "dev", "sys"] { try Files.makeDirectories(fixture.path("rootfs/\(name)")) }
        try fixture.writeBundle(["true"])
        let outcome = try fixture.run(script: "id -u; cat /proc/self/uid_map; echo x > /dev/null && echo device")
        #expect(outcome.status == .exited(0), "\(outcome)")
        #expect(outcome.output.contains("100000") && outcome.output.hasSuffix("device"), "\(outcome)")
    }

    @Test func whatCannotBeIsAnErrorAndLeavesNothing() throws {
        let fixture = try Fixture()
        #expect(try fixture.run(["nope"]).error.contains("exec: \"nope\": executable file not found in $PATH"))
        #expect(try fixture.run(["/etc"]).status == .exited(1))
        fixture.spec.mounts.append(.init(destination: "/x", source: "/no/such/source", options: ["bind"]))
        #expect(try fixture.run(["true"]).error.contains("/no/such/source"))
        fixture.spec.mounts.removeLast()
        fixture.spec.process?.cwd = "relative"
        #expect(try fixture.run(["true"]).error.contains("process.cwd must be an absolute path"))
        #expect(try Files.names(in: fixture.path("state")).isEmpty)
        #expect(try !Cgroups.current().exists(fixture.group))
    }

    @Test func theLauncherIsOneThreadWithoutFoundationOrDispatch() throws {
        let program = try Fixture.program("swiftlet-launcher")
        let bytes = try Files.read(program, limit: 256 << 20)
        // A static ELF file has no interpreter, so no shared library can come in.
        #expect(!bytes.contains(subsequence: Array("ld-linux".utf8 + [0])))
        #expect(!bytes.contains(subsequence: Array("$s10Foundation".utf8)))
        #expect(!bytes.contains(subsequence: Array("dispatch_async".utf8)))
    }
}

extension [UInt8] {
    fileprivate func contains(subsequence: [UInt8]) -> Bool {
        guard let first = subsequence.first else { return true }
        var start = startIndex
        while let found = self[start...].firstIndex(of: first) {
            if self[found...].starts(with: subsequence) { return true }
            start = found + 1
        }
        return false
    }
}
