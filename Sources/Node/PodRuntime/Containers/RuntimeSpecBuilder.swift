// SPDX-License-Identifier: Apache-2.0

import OCISpec

/// Makes a container's OCI configuration.
struct RuntimeSpecBuilder {
    let container: ContainerSpec
    /// What the image says about running it.
    let image: ImageConfig.Execution
    let user: ResolvedUser
    let sandbox: Sandbox
    /// The root file system's directory on the host.
    let rootfs: String
    /// The container's cgroup below the hierarchy's root.
    let cgroupPath: String
    /// Bind mounts with their sources resolved, in the pod's order.
    let mounts: [RuntimeSpec.Mount]
    /// The PID namespace that the container joins; nil for one of its own.
    var joinedProcesses: String?
    /// The machine's devices, for a privileged container.
    var hostDevices: [RuntimeSpec.Device] = []
    /// Whether the kernel can kill the whole container for lack of memory, and not one process of it.
    var canKillTogether = false
    /// Whether an ordinary user may lower the OOM score and raise limits: the agent lacks CAP_SYS_RESOURCE otherwise.
    let hasResourceCapability: Bool

    private static let standardPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

    func build() throws(RuntimeError) -> RuntimeSpec {
        var process = RuntimeSpec.Process(args: try arguments(), env: environment(), cwd: workingDirectory)
        process.terminal = container.tty
        process.user = RuntimeSpec.User(uid: user.uid, gid: user.gid, additionalGids: user.groups)
        let security = container.security
        let names =
            security.isPrivileged
            ? CapabilityList.everything
            : CapabilityList.resolve(added: security.capabilitiesAdded, dropped: security.capabilitiesDropped)
        process.capabilities = CapabilityList.sets(names)
        process.noNewPrivileges =
            !security.allowsPrivilegeEscalation && !security.isPrivileged && !names.contains("CAP_SYS_ADMIN")
        process.apparmorProfile = security.appArmorProfile
        process.oomScoreAdj = max(container.resources.oomScoreAdjustment, hasResourceCapability ? -1000 : 0)
        var spec = RuntimeSpec(
            process: process, root: RuntimeSpec.Root(path: rootfs, readonly: security.hasReadOnlyRoot))
        spec.mounts = standardMounts() + orderedMounts
        spec.linux = try linux(capabilities: names)
        return spec
    }

    // MARK: Process

    private func arguments() throws(RuntimeError) -> [String] {
        // Kubernetes: a command drops the image's arguments too.
        let entrypoint = container.command.isEmpty ? image.entrypoint ?? [] : container.command
        let rest =
            container.arguments.isEmpty ? (container.command.isEmpty ? image.cmd ?? [] : []) : container.arguments
        let all = entrypoint + rest
        if all.isEmpty { throw RuntimeError(.create, "", "no command specified") }
        return all
    }

    private var workingDirectory: String {
        let wanted = container.workingDirectory.isEmpty ? image.workingDir ?? "" : container.workingDirectory
        if wanted.isEmpty { return "/" }
        return wanted.hasPrefix("/") ? wanted : "/\(wanted)"
    }

    private func environment() -> [String] {
        var names: Set<String> = []
        var result: [String] = []
        for (name, value) in container.environment {
            names.insert(name)
            result.append("\(name)=\(value)")
        }
        var base: [String] = []
        for entry in image.env {
            let name = String(entry.prefix { $0 != "=" })
            if names.insert(name).inserted { base.append(entry) }
        }
        if names.insert("PATH").inserted { base.insert(Self.standardPath, at: 0) }
        if names.insert("HOSTNAME").inserted { base.append("HOSTNAME=\(sandbox.hostname)") }
        if container.tty, names.insert("TERM").inserted { base.append("TERM=xterm") }
        if names.insert("HOME").inserted { base.append("HOME=\(user.home)") }
        return base + result
    }

    // MARK: Mounts

    /// The pod's mounts with those first that others may lie in (containerd: orderedMounts): made later they would hide them.
    private var orderedMounts: [RuntimeSpec.Mount] {
        let depths = mounts.map { $0.destination.split(separator: "/").count }
        // By place where the depth is the same: the sort need not be stable.
        return mounts.indices.sorted { (depths[$0], $0) < (depths[$1], $1) }.map { mounts[$0] }
    }

    /// What every container sees below /proc, /dev and /sys; a mount of the pod at the same place replaces it.
    private func standardMounts() -> [RuntimeSpec.Mount] {
        let taken = Set(mounts.map(\.destination))
        let sysAccess = container.security.isPrivileged ? "rw" : "ro"
        let all: [RuntimeSpec.Mount] = [
            .init(destination: "/proc", type: "proc", source: "proc", options: ["nosuid", "noexec", "nodev"]),
            .init(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            .init(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            .init(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            .init(
                destination: "/sys", type: "sysfs", source: "sysfs",
                options: ["nosuid", "noexec", "nodev", sysAccess]),
            .init(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", sysAccess]),
            .init(destination: "/dev/shm", type: "bind", source: sandbox.sharedMemoryPath, options: ["rbind", "rw"]),
        ]
        return all.filter { !taken.contains($0.destination) }
    }

    // MARK: Linux

    private func linux(capabilities: [String]) throws(RuntimeError) -> RuntimeSpec.Linux {
        var linux = RuntimeSpec.Linux()
        linux.namespaces = namespaces()
        linux.cgroupsPath = cgroupPath
        linux.resources = resources()
        let security = container.security
        linux.rootfsPropagation = rootPropagation
        if security.isPrivileged {
            linux.devices = hostDevices
            return linux
        }
        if !security.unmasksProc {
            linux.maskedPaths = Self.maskedPaths
            linux.readonlyPaths = Self.readOnlyPaths
        }
        switch security.seccomp {
        case .unconfined: break
        case .runtimeDefault: linux.seccomp = SeccompProfile.standard(capabilities: capabilities)
        case .localhost(let bytes):
            do { linux.seccomp = try RuntimeSpec.Seccomp(parsing: bytes) } catch {
                throw RuntimeError(.create, "", "seccomp profile: \(error)")
            }
        }
        return linux
    }

    private func namespaces() -> [RuntimeSpec.Namespace] {
        var result: [RuntimeSpec.Namespace] = [.init(.mount)]
        if let path = sandbox.networkNamespace { result.append(.init(.network, path: path)) }
        if let path = sandbox.ipcNamespace { result.append(.init(.ipc, path: path)) }
        if let path = sandbox.utsNamespace { result.append(.init(.uts, path: path)) }
        switch sandbox.processNamespace {
        case .host: break
        case .container, .shared: result.append(.init(.pid, path: joinedProcesses))
        }
        // On cgroup v2 a container sees its own subtree only; on v1 runtimes leave the host's view.
        if sandbox.isUnified && !container.security.isPrivileged { result.append(.init(.cgroup)) }
        return result
    }

    /// Mounts of the host can only show in the container where its root is a slave or shared.
    private var rootPropagation: String? {
        var wanted: String?
        for mount in container.mounts {
            switch mount.propagation {
            case .bidirectional: return "rshared"
            case .hostToContainer: wanted = "rslave"
            case .none: break
            }
        }
        return wanted
    }

    private func resources() -> RuntimeSpec.Resources {
        var result = RuntimeSpec.Resources()
        let limits = container.resources
        result.cpu = RuntimeSpec.CPU(shares: limits.cpuShares, quota: limits.cpuQuota, period: limits.cpuPeriod)
        if let limit = limits.memoryLimit {
            // No swap beyond the limit, as upstream's NoSwap.
            result.memory = RuntimeSpec.Memory(limit: limit, swap: limit)
        }
        // Half a container is worse than none (upstream: singleProcessOOMKill).
        if canKillTogether { result.unified["memory.oom.group"] = "1" }
        if let limit = limits.pidsLimit { result.pids = RuntimeSpec.Pids(limit: limit) }
        result.hugepageLimits = limits.hugepageLimits.sorted { $0.key < $1.key }.map {
            RuntimeSpec.HugepageLimit(pageSize: $0.key, limit: $0.value)
        }
        if container.security.isPrivileged {
            result.devices = [.init(allow: true, access: "rwm")]
        } else {
            result.devices = [.init(allow: false, access: "rwm")] + Self.deviceRules
        }
        return result
    }

    /// Nodes may be made, and the devices of every container used: null, zero, full, random, urandom, tty, ptmx, pts.
    private static let deviceRules: [RuntimeSpec.DeviceRule] =
        [
            .init(allow: true, type: "c", access: "m"), .init(allow: true, type: "b", access: "m"),
        ]
        + [(1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2)].map {
            .init(allow: true, type: "c", major: $0.0, minor: $0.1, access: "rwm")
        } + [.init(allow: true, type: "c", major: 136, access: "rwm")]

    /// What upstream's DefaultProcMount hides.
    private static let maskedPaths = [
        "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        "/sys/devices/virtual/powercap",
    ]
    private static let readOnlyPaths = [
        "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
    ]
}
