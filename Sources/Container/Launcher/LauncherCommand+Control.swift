// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import OCISpec

extension LauncherCommand {
    /// `kill ID [SIGNAL]`
    func kill(_ arguments: [String]) throws(LauncherError) {
        let parsed = try OptionParser(
            flags: ["all"], values: ["regex", "signal"], short: ["a": "all", "s": "signal"]
        ).parse(arguments)
        guard let id = parsed.arguments.first, parsed.arguments.count <= 2 else {
            throw LauncherError("expected the container's ID and a signal")
        }
        let text = parsed.arguments.count > 1 ? parsed.arguments[1] : parsed.value("signal") ?? "TERM"
        guard let signal = Signals.number(text) else { throw LauncherError("unknown signal \"\(text)\"") }
        try launcher.kill(id, signal: signal, all: parsed.has("all"))
    }

    /// `delete ID...`
    func delete(_ arguments: [String]) throws(LauncherError) {
        let parsed = try OptionParser(flags: ["force"], short: ["f": "force"]).parse(arguments)
        guard !parsed.arguments.isEmpty else { throw LauncherError("expected the container's ID") }
        for id in parsed.arguments { try launcher.delete(id, force: parsed.has("force")) }
    }

    /// `list`
    func list(_ arguments: [String]) throws(LauncherError) {
        let parsed = try OptionParser(
            flags: ["quiet"], values: ["format"], short: ["q": "quiet", "f": "format"]
        ).parse(arguments)
        let cgroups = try launcher.cgroups()
        var rows: [(record: ContainerRecord, status: ContainerState.Status)] = []
        for id in try launcher.store.ids() {
            guard let record = try launcher.store.load(id) else { continue }
            rows.append((record, try launcher.store.status(of: record, cgroups: cgroups)))
        }
        if parsed.has("quiet") {
            Output.write(rows.map { $0.record.id + "\n" }.joined())
        } else if parsed.value("format") == "json" {
            Output.write(JSON.array(rows.map(Self.json)).text() + "\n")
        } else {
            var table = [["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]]
            for (record, status) in rows {
                let pid = status == .stopped ? 0 : record.pid ?? 0
                let owner = record.owner == 0 ? "root" : "#\(record.owner)"
                table.append([record.id, "\(pid)", status.rawValue, record.bundle, record.created, owner])
            }
            Output.write(Self.render(table))
        }
    }

    private static func json(_ row: (record: ContainerRecord, status: ContainerState.Status)) -> JSON {
        [
            "ociVersion": .string(row.record.ociVersion), "id": .string(row.record.id),
            "pid": JSON(row.status == .stopped ? 0 : Int(row.record.pid ?? 0)),
            "status": .string(row.status.rawValue), "bundle": .string(row.record.bundle),
            "rootfs": .string(row.record.rootfs), "created": .string(row.record.created),
            "annotations": JSON(row.record.annotations), "owner": row.record.owner == 0 ? "root" : "",
        ]
    }

    private static func render(_ table: [[String]]) -> String {
        var widths = [Int](repeating: 0, count: table.first?.count ?? 0)
        for row in table {
            for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
        }
        var text = ""
        for row in table {
            var line = ""
            for (column, cell) in row.enumerated() {
                line += cell
                if column < row.count - 1 { line += String(repeating: " ", count: widths[column] - cell.count + 3) }
            }
            text += line + "\n"
        }
        return text
    }

    /// `ps ID [ps options]`
    func ps(_ arguments: [String]) throws(LauncherError) -> Int32 {
        let parsed = try OptionParser(
            values: ["format"], short: ["f": "format"], stopsAtFirstArgument: true
        ).parse(arguments)
        guard let id = parsed.arguments.first else { throw LauncherError("expected the container's ID") }
        let processes = try launcher.processes(id)
        if parsed.value("format") == "json" {
            Output.write(JSON.array(processes.map { JSON(Int($0)) }).text() + "\n")
            return 0
        }
        guard !processes.isEmpty else { return 0 }
        let list = processes.map { "\($0)" }.joined(separator: ",")
        let options = parsed.arguments.count > 1 ? Array(parsed.arguments.dropFirst()) : ["-f"]
        throw LauncherError(
            "ps",
            Processes.execute(
                "/bin/ps", arguments: ["ps", "-p", list] + options, environment: Processes.environment()))
    }

    /// `update ID`: limits from a file or standard input (`--resources`) and from options, which win.
    func update(_ arguments: [String]) throws(LauncherError) {
        let limits = [
            "memory", "memory-reservation", "memory-swap", "cpu-shares", "cpu-share", "cpu-quota", "cpu-period",
            "cpu-burst", "cpuset-cpus", "cpuset-mems", "cpu-idle", "pids-limit", "blkio-weight",
        ]
        let parsed = try OptionParser(
            values: Set(limits + ["resources"]), short: ["r": "resources"]
        ).parse(arguments)
        let id = try onlyArgument(parsed)
        var resources = RuntimeSpec.Resources()
        if let path = parsed.value("resources") {
            do {
                resources = try RuntimeSpec.Resources(parsing: try Files.read(path == "-" ? "/dev/stdin" : path))
            } catch {
                throw LauncherError("reading the limits from \(path)", error)
            }
        }
        try Self.apply(parsed, to: &resources)
        try launcher.update(id, resources)
    }

    private static func apply(
        _ parsed: OptionParser.Result, to resources: inout RuntimeSpec.Resources
    ) throws(LauncherError) {
        var memory = resources.memory ?? .init()
        memory.limit = try integer(parsed, "memory") ?? memory.limit
        memory.reservation = try integer(parsed, "memory-reservation") ?? memory.reservation
        memory.swap = try integer(parsed, "memory-swap") ?? memory.swap
        if memory != .init() { resources.memory = memory }
        var cpu = resources.cpu ?? .init()
        // runc says cpu-share, crun cpu-shares.
        let shares = parsed.value("cpu-share") == nil ? "cpu-shares" : "cpu-share"
        cpu.shares = try integer(parsed, shares) ?? cpu.shares
        cpu.quota = try integer(parsed, "cpu-quota") ?? cpu.quota
        cpu.period = try integer(parsed, "cpu-period") ?? cpu.period
        cpu.burst = try integer(parsed, "cpu-burst") ?? cpu.burst
        cpu.idle = try integer(parsed, "cpu-idle") ?? cpu.idle
        cpu.cpus = parsed.value("cpuset-cpus") ?? cpu.cpus
        cpu.mems = parsed.value("cpuset-mems") ?? cpu.mems
        if cpu != .init() { resources.cpu = cpu }
        if let limit: Int64 = try integer(parsed, "pids-limit") { resources.pids = .init(limit: limit) }
        if let weight: UInt16 = try integer(parsed, "blkio-weight") {
            var blockIO = resources.blockIO ?? .init()
            blockIO.weight = weight
            resources.blockIO = blockIO
        }
    }

    private static func integer<Integer: FixedWidthInteger>(
        _ parsed: OptionParser.Result, _ name: String
    ) throws(LauncherError) -> Integer? {
        guard let text = parsed.value(name) else { return nil }
        guard let number = Integer(text) else { throw LauncherError("--\(name): \"\(text)\" is not a number") }
        return number
    }

    /// `spec`: writes a configuration to start from.
    func spec(_ arguments: [String]) throws(LauncherError) {
        let parsed = try OptionParser(
            flags: ["rootless"], values: ["bundle"], short: ["b": "bundle"]
        ).parse(arguments)
        let path = "\(parsed.value("bundle") ?? ".")/config.json"
        if Files.exists(path) { throw LauncherError("\(path) exists already; remove it first") }
        try attempting("writing \(path)") {
            try Files.replace(path, with: Array((Features.exampleSpec.json.text(indented: true) + "\n").utf8))
        }
    }
}
