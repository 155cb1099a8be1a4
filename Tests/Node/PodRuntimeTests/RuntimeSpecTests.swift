// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec
import Testing

@testable import PodRuntime

@Suite("OCI configurations of containers")
struct RuntimeSpecTests {
    static let pod = PodIdentity(uid: "u", name: "p", namespace: "n")

    static func sandbox() -> Sandbox {
        var sandbox = Sandbox(
            pod: pod, hostname: "p", processNamespace: .container, sharedMemoryPath: "/run/x/shm",
            addresses: ["10.1.0.2"], cgroupPath: "/kubepods/podu", isUnified: false)
        sandbox.networkNamespace = "/run/x/net"
        sandbox.ipcNamespace = "/run/x/ipc"
        sandbox.utsNamespace = "/run/x/uts"
        return sandbox
    }

    static func build(
        image: ImageConfig.Execution = .init(), user: ResolvedUser = .init(), hasResourceCapability: Bool = true,
        joinedProcesses: String? = nil, hostDevices: [RuntimeSpec.Device] = [], canKillTogether: Bool = false,
        _ configure: (inout ContainerSpec) -> Void
    ) throws -> RuntimeSpec {
        var container = ContainerSpec(pod: pod, name: "c", attempt: 0, image: "i")
        container.command = ["/bin/true"]
        configure(&container)
        let mounts = try MountResolver(mounts: container.mounts, message: container.terminationMessage)
        return try RuntimeSpecBuilder(
            container: container, image: image, user: user, sandbox: sandbox(), rootfs: "/root",
            cgroupPath: "/kubepods/podu/c", mounts: mounts.mounts, joinedProcesses: joinedProcesses,
            hostDevices: hostDevices, canKillTogether: canKillTogether, hasResourceCapability: hasResourceCapability
        ).build()
    }

    @Test(
        "command and args replace entrypoint and cmd as Kubernetes says",
        arguments: [
            ([], [], ["/ep", "a"]), (["/c"], [], ["/c"]), ([], ["x"], ["/ep", "x"]), (["/c"], ["x"], ["/c", "x"]),
        ] as [([String], [String], [String])])
    func commandLine(command: [String], arguments: [String], result: [String]) throws {
        var image = ImageConfig.Execution()
        image.entrypoint = ["/ep"]
        image.cmd = ["a"]
        let spec = try Self.build(image: image) {
            $0.command = command
            $0.arguments = arguments
        }
        #expect(spec.process?.args == result)
    }

    @Test("the pod's environment overrides the image's")
    func environment() throws {
        var image = ImageConfig.Execution()
        image.env = ["PATH=/bin", "A=1", "B=2"]
        let spec = try Self.build(image: image) { $0.environment = [("A", "x"), ("C", "y")] }
        let env = spec.process?.env ?? []
        #expect(env.filter { $0.hasPrefix("A=") } == ["A=x"])
        #expect(env.contains("PATH=/bin") && env.contains("B=2") && env.contains("C=y"))
        #expect(env.contains("HOSTNAME=p") && env.contains("HOME=/"))
    }

    @Test("an ordinary container: default capabilities, masked paths, joined namespaces")
    func ordinary() throws {
        let spec = try Self.build { $0.security.allowsPrivilegeEscalation = false }
        #expect(spec.process?.capabilities?.bounding == CapabilityList.standard.sorted())
        #expect(spec.process?.capabilities?.inheritable == [])
        #expect(spec.process?.noNewPrivileges == true)
        #expect(spec.linux.maskedPaths.contains("/proc/kcore"))
        #expect(spec.linux.readonlyPaths.contains("/proc/sys"))
        #expect(spec.linux.namespaces.contains(.init(.network, path: "/run/x/net")))
        #expect(spec.linux.namespaces.contains(.init(.pid)))
        #expect(spec.linux.resources?.devices.first == .init(allow: false, access: "rwm"))
        #expect(spec.linux.seccomp == nil)
    }

    @Test("a container with a target joins the target's processes")
    func targetProcesses() throws {
        let spec = try Self.build(joinedProcesses: "/proc/7/ns/pid") { _ in }
        #expect(spec.linux.namespaces.contains(.init(.pid, path: "/proc/7/ns/pid")))
        #expect(!spec.linux.namespaces.contains(.init(.pid)))
    }

    @Test("a privileged container: everything, nothing masked")
    func privileged() throws {
        let spec = try Self.build { $0.security.isPrivileged = true }
        #expect(spec.process?.capabilities?.effective == CapabilityList.everything)
        #expect(spec.linux.maskedPaths.isEmpty && spec.linux.readonlyPaths.isEmpty)
        #expect(spec.linux.resources?.devices == [.init(allow: true, access: "rwm")])
        #expect(spec.mounts.first { $0.destination == "/sys" }?.options.contains("rw") == true)
    }

    @Test("a privileged container has the machine's devices, others have not")
    func hostDevices() throws {
        let devices = [RuntimeSpec.Device(type: "b", path: "/dev/sda", major: 8, fileMode: 0o660, gid: 6)]
        #expect(try Self.build(hostDevices: devices) { $0.security.isPrivileged = true }.linux.devices == devices)
        #expect(try Self.build(hostDevices: devices) { _ in }.linux.devices.isEmpty)
    }

    @Test(
        "the machine's devices are listed without other kinds, consoles and what containers have of their own",
        .enabled(if: Processes.effectiveUserID == 0))
    func deviceList() throws {
        let base = "/tmp/kubelet-devices-\(Processes.current)"
        for name in ["bus/usb", "pts"] { try Files.makeDirectories("\(base)/\(name)") }
        defer { try? Files.removeTree(base) }
        for (directory, name) in [("", "null"), ("", "console"), ("/bus/usb", "001"), ("/pts", "0")] {
            try DirectoryHandle(path: base + directory).makeNode(
                name, kind: .characterDevice, permissions: 0o640, major: 1, minor: 3)
        }
        try DirectoryHandle(path: base).makeNode("fifo", kind: .fifo, permissions: 0o600, major: 0, minor: 0)
        try Files.makeLink("\(base)/link", to: "null")
        try Files.replace("\(base)/file", with: [])
        let found = try HostDevices.list(in: base)
        #expect(found.map(\.path) == ["\(base)/bus/usb/001", "\(base)/null"])
        #expect(found.last == .init(type: "c", path: "\(base)/null", major: 1, minor: 3, fileMode: 0o640))
    }

    @Test("the whole container is killed where the kernel can, and it runs under its AppArmor profile")
    func killedTogether() throws {
        let spec = try Self.build(canKillTogether: true) { $0.security.appArmorProfile = "strict" }
        #expect(spec.linux.resources?.unified == ["memory.oom.group": "1"])
        #expect(spec.process?.apparmorProfile == "strict")
        #expect(try Self.build { _ in }.linux.resources?.unified.isEmpty == true)
    }

    @Test("mounts are made from the root on, in the pod's order where they lie equally deep")
    func mountOrder() throws {
        let spec = try Self.build {
            $0.mounts = ["/a/b/c", "/a/b", "/z/", "/a/b/c/d", "/a", "/b/c"].map {
                ContainerMount(containerPath: $0, hostPath: "/tmp")
            }
        }
        #expect(spec.mounts.suffix(6).map(\.destination) == ["/z/", "/a", "/a/b", "/b/c", "/a/b/c", "/a/b/c/d"])
    }

    @Test("capabilities are added and dropped, ALL included")
    func capabilities() {
        #expect(CapabilityList.resolve(added: ["NET_ADMIN"], dropped: ["ALL"]) == ["CAP_NET_ADMIN"])
        #expect(!CapabilityList.resolve(added: [], dropped: ["chown"]).contains("CAP_CHOWN"))
        #expect(
            CapabilityList.resolve(added: ["ALL"], dropped: ["SYS_ADMIN"])
                == CapabilityList.everything.filter { $0 != "CAP_SYS_ADMIN" }.sorted())
    }

    @Test("the default seccomp filter opens calls with capabilities")
    func seccomp() throws {
        let plain = SeccompProfile.standard(capabilities: [])
        let admin = SeccompProfile.standard(capabilities: ["CAP_SYS_ADMIN"])
        let allowed = { (filter: RuntimeSpec.Seccomp, name: String) in
            filter.syscalls.contains { $0.action == "SCMP_ACT_ALLOW" && $0.args.isEmpty && $0.names.contains(name) }
        }
        #expect(plain.defaultAction == "SCMP_ACT_ERRNO")
        #expect(allowed(plain, "openat") && !allowed(plain, "mount") && !allowed(plain, "unshare"))
        #expect(allowed(admin, "mount") && allowed(admin, "unshare"))
        #expect(plain.syscalls.contains { $0.names == ["clone3"] && $0.errnoRet == 38 })
        #expect(!plain.syscalls.flatMap(\.names).contains("keyctl"))
    }

    @Test("limits; without CAP_SYS_RESOURCE the OOM score is not lowered")
    func resources() throws {
        let configure: (inout ContainerSpec) -> Void = {
            $0.resources.memoryLimit = 64 << 20
            $0.resources.cpuQuota = 50_000
            $0.resources.cpuPeriod = 100_000
            $0.resources.oomScoreAdjustment = -997
        }
        let spec = try Self.build(configure)
        #expect(spec.linux.resources?.memory == .init(limit: 64 << 20, swap: 64 << 20))
        #expect(spec.linux.resources?.cpu?.quota == 50_000)
        #expect(spec.process?.oomScoreAdj == -997)
        #expect(try Self.build(hasResourceCapability: false, configure).process?.oomScoreAdj == 0)
    }

    @Test("mounts with propagation and access; one of the pod's replaces a standard one")
    func mounts() throws {
        let spec = try Self.build {
            var shared = ContainerMount(containerPath: "/data", hostPath: "/tmp", isReadOnly: true)
            shared.propagation = .bidirectional
            shared.isRecursivelyReadOnly = true
            $0.mounts = [shared, ContainerMount(containerPath: "/dev/shm", hostPath: "/tmp")]
        }
        #expect(spec.mounts.first { $0.destination == "/data" }?.options == ["rbind", "rshared", "ro", "rro"])
        #expect(spec.mounts.filter { $0.destination == "/dev/shm" }.map(\.source) == ["/tmp"])
        #expect(spec.linux.rootfsPropagation == "rshared")
    }

    @Test("a subPath never leaves its volume, and is made where it is missing")
    func subPath() throws {
        let base = "/tmp/kubelet-subpath-\(Processes.current)"
        try Files.makeDirectories("\(base)/volume")
        try Files.makeDirectories("\(base)/outside")
        defer { try? Files.removeTree(base) }
        try Files.makeLink("\(base)/volume/escape", to: "\(base)/outside")
        try Files.makeLink("\(base)/volume/up", to: "../outside")
        let resolve = { (path: String) throws -> String in
            var mount = ContainerMount(containerPath: "/x", hostPath: "\(base)/volume")
            mount.subPath = path
            let resolver = try MountResolver(mounts: [mount], message: nil)
            return try Files.linkTarget(resolver.mounts[0].source ?? "")
        }
        #expect(try resolve("a/b") == "\(base)/volume/a/b")
        #expect(throws: (any Error).self) { try resolve("escape") }
        #expect(throws: (any Error).self) { try resolve("up") }
        #expect(try Files.names(in: "\(base)/outside").isEmpty)
    }

    @Test("cgroup shares become weights")
    func weights() {
        #expect(CgroupTree.weight(shares: 2) == 1)
        #expect(CgroupTree.weight(shares: 1024) == 39)
        #expect(CgroupTree.weight(shares: 262144) == 10000)
    }

    @Test("limits that go are lifted")
    func updateOptions() {
        let limits = ContainerLimits(cpuShares: 102, cpuQuota: 20000, cpuPeriod: 100_000, memory: 4096)
        #expect(
            limits.updateOptions(from: nil) == [
                "--cpu-shares=102", "--cpu-period=100000", "--cpu-quota=20000", "--memory=4096", "--memory-swap=4096",
            ])
        #expect(
            ContainerLimits(cpuShares: 2).updateOptions(from: limits) == [
                "--cpu-shares=2", "--cpu-quota=-1", "--memory=-1", "--memory-swap=-1",
            ])
    }

    @Test("records survive the way to disk and back")
    func records() {
        let record = ContainerRecord(
            id: "a", pod: Self.pod, name: "c", attempt: 3, image: "i", imageID: "d", logPath: "/l", cgroupPath: "/g",
            startedAt: 5, stopSignal: 15, tty: true, stdin: false, user: 1, group: 2, terminationMessagePath: "/t",
            exit: .init(exitCode: 137, signal: 9, isOutOfMemory: true, finishedAt: 9), supplementaryGroups: [2, 3],
            limits: ContainerLimits(cpuShares: 2, cpuQuota: 1000, cpuPeriod: 100_000, memory: 1 << 20),
            requestedImage: "i:1")
        #expect(ContainerRecord(json: record.json) == record)
        #expect(Sandbox(json: Self.sandbox().json, isUnified: false) == Self.sandbox())
    }
}
