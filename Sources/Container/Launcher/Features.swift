// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import OCISpec

/// What the launcher can do, for programs (runtime-spec, features.md), and an example configuration.
enum Features {
    static var document: JSON {
        [
            "ociVersionMin": "1.0.0", "ociVersionMax": .string(RuntimeSpec.currentVersion),
            "hooks": ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
            "mountOptions": JSON(MountOptions.names),
            "linux": [
                "namespaces": JSON(RuntimeSpec.NamespaceType.allCases.map(\.rawValue).sorted()),
                "capabilities": JSON(CapabilitySet.names.map { "CAP_\($0)" }),
                "cgroup": ["v1": true, "v2": true, "systemd": false, "systemdUser": false, "rdma": false],
                "seccomp": [
                    "enabled": true,
                    "actions": [
                        "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_PROCESS",
                        "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_TRACE", "SCMP_ACT_TRAP",
                    ],
                    "operators": [
                        "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
                        "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE",
                    ],
                    "knownFlags": [
                        "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_TSYNC",
                    ],
                ],
                "apparmor": ["enabled": true], "selinux": ["enabled": true], "intelRdt": ["enabled": false],
                "mountExtensions": ["idmap": ["enabled": true]],
            ],
        ]
    }

    static var exampleSpec: RuntimeSpec {
        let capabilities = ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
        var process = RuntimeSpec.Process(
            args: ["sh"], env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"])
        process.terminal = true
        process.noNewPrivileges = true
        process.capabilities = .init(bounding: capabilities, effective: capabilities, permitted: capabilities)
        process.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 1024, hard: 1024)]
        var spec = RuntimeSpec(process: process, root: .init(path: "rootfs", readonly: true))
        spec.hostname = "swiftlet"
        spec.mounts = defaultMounts
        spec.linux.resources = .init()
        spec.linux.resources?.devices = [.init(allow: false, access: "rwm")]
        spec.linux.namespaces = [
            .init(.pid), .init(.network), .init(.ipc), .init(.uts), .init(.mount), .init(.cgroup),
        ]
        spec.linux.maskedPaths = [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
        ]
        spec.linux.readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
        return spec
    }

    private static var defaultMounts: [RuntimeSpec.Mount] {
        [
            .init(destination: "/proc", type: "proc", source: "proc"),
            .init(
                destination: "/dev", type: "tmpfs", source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]),
            .init(
                destination: "/dev/pts", type: "devpts", source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
            .init(
                destination: "/dev/shm", type: "tmpfs", source: "shm",
                options: ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
            .init(
                destination: "/dev/mqueue", type: "mqueue", source: "mqueue", options: ["nosuid", "noexec", "nodev"]),
            .init(
                destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]),
            .init(
                destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup",
                options: ["nosuid", "noexec", "nodev", "relatime", "ro"]),
        ]
    }
}
