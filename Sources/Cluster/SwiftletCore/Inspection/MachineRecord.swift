// SPDX-License-Identifier: Apache-2.0

import HostChecks
import JSON
import LinuxSystem
import PodRuntime

/// The machine's part of a support bundle: what the kernel and the operating system's tools say.
struct MachineRecord {
    private static let agentLogFile = "/var/log/swiftlet.log"
    private static let kernelLines = 300
    /// Directories of cgroups and of state that are listed.
    private static let directoryLimit = 1000

    let configuration: Configuration
    let logLines: Int

    func add(to contents: inout BundleContents) {
        addSystem(&contents)
        addNetwork(&contents)
        contents.add("cgroups.txt", cgroups())
        contents.add("storage.txt", storage())
        addContainers(&contents)
        addLogs(&contents)
    }

    private func addSystem(_ contents: inout BundleContents) {
        for (name, path) in [
            ("mounts.txt", "/proc/self/mountinfo"), ("system/kernel.txt", "/proc/version"),
            ("system/command-line.txt", "/proc/cmdline"), ("system/os-release.txt", "/etc/os-release"),
            ("system/memory.txt", "/proc/meminfo"), ("system/load.txt", "/proc/loadavg"),
            ("system/uptime.txt", "/proc/uptime"), ("system/modules.txt", "/proc/modules"),
            ("system/swaps.txt", "/proc/swaps"), ("system/model.txt", "/proc/device-tree/model"),
        ] where Files.exists(path) {
            contents.attempt(name) { try Files.readText(path, limit: BundleContents.standardFileLimit) }
        }
        for kind in ["cpu", "memory", "io"] where Files.exists("/proc/pressure/\(kind)") {
            contents.attempt("system/pressure-\(kind).txt") { try Files.readText("/proc/pressure/\(kind)") }
        }
    }

    private func addNetwork(_ contents: inout BundleContents) {
        let family = ["list", "table", "inet", configuration.network.table]
        for (name, program, origin, arguments) in [
            ("network/links.txt", "ip", "iproute2", ["-details", "-statistics", "link"]),
            ("network/addresses.txt", "ip", "iproute2", ["address"]),
            ("network/routes.txt", "ip", "iproute2", ["route", "show", "table", "all"]),
            ("network/rules.txt", "ip", "iproute2", ["rule"]),
            ("network/neighbours.txt", "ip", "iproute2", ["neighbour"]),
            ("network/nftables.txt", "nft", "nftables", family),
            ("network/sockets.txt", "ss", "iproute2", ["-tulpn"]),
        ] {
            contents.attempt(name) { try output(of: program, origin, arguments) }
        }
    }

    private func output(of name: String, _ origin: String, _ arguments: [String]) throws -> String {
        let result = try Program.run(try Program.require(name, package: origin), arguments)
        return result.status == 0 ? result.output : "\(result.output)\n(ended with status \(result.status))\n"
    }

    // MARK: Cgroups

    /// Each cgroup of pods with what it uses and may use, on one line.
    private func cgroups() -> String {
        // Version 2, or the hierarchies of version 1 that matter here.
        let groups = [
            configuration.kubelet.cgroupRoot, "/\(PodScope.topSlice(root: configuration.kubelet.cgroupRoot))",
        ]
        let roots = ["", "/memory", "/pids", "/cpu", "/cpuacct"].flatMap { hierarchy in
            groups.map { "/sys/fs/cgroup\(hierarchy)\($0)" }
        }
        let lines = roots.filter(Files.exists).flatMap { root in
            directories(below: root).map { path in
                ([path] + Self.cgroupFiles.compactMap { file in Self.values(of: file, in: path) }).joined(
                    separator: " ")
            }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static let cgroupFiles = [
        "memory.current", "memory.max", "memory.peak", "memory.events", "memory.usage_in_bytes",
        "memory.limit_in_bytes", "memory.failcnt", "pids.current", "pids.max", "cpu.max", "cpu.stat", "cpuacct.usage",
        "cpu.pressure",
    ]

    private static func values(of file: String, in directory: String) -> String? {
        // Not every cgroup has every file, and it may have gone meanwhile.
        guard let text = try? Files.readText("\(directory)/\(file)") else { return nil }
        return "\(file)=\(text.split(whereSeparator: \.isWhitespace).joined(separator: ","))"
    }

    private func directories(below root: String) -> [String] {
        var found: [String] = []
        var pending = [root]
        while let next = pending.popLast(), found.count < Self.directoryLimit {
            found.append(next)
            // Gone meanwhile: nothing is in it.
            let children = ((try? Files.names(in: next)) ?? []).map { "\(next)/\($0)" }
            pending += children.filter { (try? Files.status($0))?.kind == .directory }.sorted(by: >)
        }
        return found
    }

    // MARK: Storage

    private func storage() -> String {
        let state = configuration.directories.state
        var lines: [String] = []
        if let space = try? FileDescriptor.open(state, [.read, .directory]).space(state) {
            lines.append(
                "\(state): \(space.availableBytes) of \(space.totalBytes) bytes free, \(space.freeInodes) inodes")
        }
        for place in ["store", "images", "images/layers", "pods", "objects", "network", "pki"] {
            let directory = "\(state)/\(place)"
            // Not every node has all of them.
            guard let names = try? Files.names(in: directory) else { continue }
            let sizes = names.map { name in (name, (try? Files.status("\(directory)/\(name)"))?.size ?? 0) }
            lines.append("\(directory): \(names.count) entries, \(sizes.reduce(0) { $0 + $1.1 }) bytes in files")
            if place == "store" { lines += sizes.sorted { $0.0 < $1.0 }.map { "  \($0.0): \($0.1) bytes" } }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func addContainers(_ contents: inout BundleContents) {
        let directory = "\(configuration.directories.run)/containers"
        // Without a run directory no container runs.
        let names = ((try? Files.names(in: directory)) ?? []).sorted().prefix(Self.directoryLimit)
        let records = names.map { id -> JSON in
            // A file that is cut short belongs to a container that is being made.
            guard let bytes = try? Files.read("\(directory)/\(id)/record.json"), let record = try? JSON.parse(bytes)
            else {
                return ["id": .string(id), "damaged": true]
            }
            return record
        }
        contents.add("containers.json", .array(records))
    }

    // MARK: Logs

    private func addLogs(_ contents: inout BundleContents) {
        let lines = "--lines=\(logLines)"
        if let journal = Program.find("journalctl"),
            Files.exists("/run/log/journal") || Files.exists("/var/log/journal")
        {
            let common = ["--no-pager", "--quiet", "--output=short-iso-precise"]
            contents.attempt("logs/agent.log") {
                try Program.run(
                    journal, common + [lines, "SYSLOG_IDENTIFIER=swiftlet", "+", "_PID=1", "UNIT=swiftlet.service"]
                ).output
            }
            contents.attempt("logs/kernel.log") {
                try Program.run(
                    journal, common + ["--dmesg", "--priority=warning", "--lines=\(Self.kernelLines)"]
                ).output
            }
        }
        guard Files.exists(Self.agentLogFile) else { return }
        contents.attempt("logs/agent-file.log") { try tail(of: Self.agentLogFile) }
    }

    private func tail(of path: String) throws -> String {
        let size = try Files.status(path)?.size ?? 0
        let limit = UInt64(BundleContents.standardFileLimit)
        let file = try FileDescriptor.open(path, .read)
        let bytes = try file.bytes(at: size > limit ? size - limit : 0, limit: Int(limit), path)
        let all = String(decoding: bytes, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
        return all.suffix(logLines + 1).joined(separator: "\n")
    }
}
