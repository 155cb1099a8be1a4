// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Testing

@testable import Monitor

/// A bundle of busybox and a monitor for it; everything goes away with the test.
final class MonitorFixture {
    let id = "monitor-test-\(UInt32.random(in: 0...UInt32.max))"
    let paths: MonitorPaths
    private var monitor: Int32?

    init(_ script: String, terminal: Bool = false) throws {
        paths = MonitorPaths(directory: "/tmp/\(id)")
        let bin = "\(paths.directory)/rootfs/bin"
        try Files.makeDirectories(bin)
        try Files.replace("\(bin)/busybox", with: try Files.read("/bin/busybox"), permissions: 0o755)
        for name in ["sh", "sleep", "cat", "stty", "tail", "dd"] { try Files.makeLink("\(bin)/\(name)", to: "busybox") }
        let config: JSON = [
            "ociVersion": "1.2.0",
            "process": [
                "terminal": .bool(terminal), "cwd": "/", "args": ["sh", "-c", .string(script)], "env": ["PATH=/bin"],
            ],
            "root": ["path": "rootfs"],
            "mounts": [
                ["destination": "/proc", "type": "proc", "source": "proc"],
                ["destination": "/dev", "type": "tmpfs", "source": "tmpfs"],
                [
                    "destination": "/dev/pts", "type": "devpts", "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666"],
                ],
            ],
            "linux": [
                "cgroupsPath": .string("/\(id)"), "namespaces": [["type": "pid"], ["type": "mount"]],
                "resources": ["memory": ["limit": 33_554_432]],
            ],
        ]
        try Files.replace("\(paths.directory)/config.json", with: config.serialized())
    }

    deinit {
        // Whatever a failed test left.
        try? delete()
        if let monitor { try? Processes.kill(monitor, Signals.kill) }
        try? Files.removeTree(paths.directory)
    }

    var logPath: String { "\(paths.directory)/log" }

    private static func program(_ name: String) throws -> String {
        "\(Files.directory(of: try Files.linkTarget("/proc/self/exe")))/\(name)"
    }

    /// Starts the monitor as the agent does, and returns what it reports.
    ///
    /// - Parameter gate: the pipe that it waits for.
    func start(_ options: [String] = [], gate: CInt? = nil) throws -> CreateReport {
        let pipe = try Sockets.pipe()
        var spawner = ProcessSpawner(
            path: try Self.program("swiftlet-launcher"),
            arguments: [
                ContainerMonitor.programName, "--id", id, "--bundle", paths.directory, "--directory", paths.directory,
                "--log",
                logPath, "--launcher", try Self.program("swiftlet-launcher"), "--launcher-option",
                "--root=\(paths.directory)/state", "--cgroup", "/\(id)", "--sync-fd", "3",
            ] + options + (gate == nil ? [] : ["--wait-fd", "4"]), environment: ["PATH=/usr/bin:/bin"])
        let null = try FileDescriptor.open("/dev/null", .readWrite)
        let errors = try FileDescriptor.open(
            "\(paths.directory)/monitor.err", [.write, .create, .truncate])
        spawner.descriptors = [(null.rawValue, 0), (null.rawValue, 1), (errors.rawValue, 2), (pipe.second.rawValue, 3)]
        if let gate { spawner.descriptors.append((gate, 4)) }
        spawner.startsSession = true
        monitor = try spawner.start().pid
        let reader = pipe.takeFirst()
        return CreateReport(parsing: try reader.readAll())
    }

    func delete() throws {
        var spawner = ProcessSpawner(
            path: try Self.program("swiftlet-launcher"),
            arguments: ["swiftlet-launcher", "--root", "\(paths.directory)/state", "delete", "--force", id])
        let null = try FileDescriptor.open("/dev/null", .readWrite)
        spawner.descriptors = [(null.rawValue, 0), (null.rawValue, 1), (null.rawValue, 2)]
        let child = try spawner.start()
        _ = try Processes.wait(for: child.process)
    }

    func ask(_ request: ControlRequest) throws -> ControlReply? {
        let connection = try Sockets.connect(to: paths.control, kind: .packets)
        try Sockets.send(request.bytes, on: connection)
        guard try Polling.wait(connection, .readable, timeout: 20_000) else { return nil }
        return ControlReply(try Sockets.receive(limit: 65536, on: connection))
    }

    /// The log's lines without their times.
    func lines(in path: String? = nil) throws -> [String] {
        // By bytes: a carriage return and a line feed are one Character.
        try Files.read(path ?? logPath).split(separator: UInt8(ascii: "\n")).map { line in
            String(decoding: line.drop { $0 != UInt8(ascii: " ") }.dropFirst(), as: UTF8.self)
        }
    }

    func wait(_ what: String, _ condition: () throws -> Bool) throws {
        for _ in 0..<2000 {
            if try condition() { return }
            Processes.sleep(milliseconds: 10)
        }
        throw MonitorError("timed out waiting for \(what)")
    }

    func waitForEnd() throws -> ExitRecord? {
        try wait("the exit record") { Files.exists(paths.exitRecord) }
        return try paths.readExitRecord()
    }
}

/// Real containers; they need root.
@Suite(.serialized) struct MonitorTests {
    @Test func logsAndRecordsTheEnd() throws {
        let fixture = try MonitorFixture("echo out; echo err >&2; printf rest; exit 7")
        guard case .created(let pid) = try fixture.start() else { throw MonitorError("not created") }
        #expect(try Files.readText(fixture.paths.containerPID) == "\(pid)")
        let monitor = try #require(try fixture.paths.runningMonitor())
        #expect(try Files.names(in: "/proc/\(monitor)/task").count == 1)
        #expect(try fixture.ask(.start) == .done)
        let record = try #require(try fixture.waitForEnd())
        #expect(record.exitCode == 7 && record.signal == nil && !record.oomKilled)
        #expect(try Set(fixture.lines()) == ["stdout F out", "stderr F err", "stdout P rest"])
        try fixture.wait("the monitor's end") { try fixture.paths.runningMonitor() == nil }
        #expect(!Files.exists(fixture.paths.control))
    }

    @Test func reportsWhatTheLauncherSays() throws {
        let fixture = try MonitorFixture("true")
        try Files.removeTree("\(fixture.paths.directory)/rootfs")
        guard case .failed(let text) = try fixture.start() else { throw MonitorError("created without a root") }
        #expect(text.contains("finding the root file system"), "\(text)")
    }

    @Test func createsNothingBeforeItsStarterSaysSo() throws {
        let fixture = try MonitorFixture("exit 3")
        let gate = try Sockets.pipe()
        try gate.second.writeAll([1])
        guard case .created = try fixture.start(["--start"], gate: gate.first.rawValue) else {
            throw MonitorError("not created")
        }
        #expect(try fixture.waitForEnd()?.exitCode == 3)
    }

    @Test func endsWhenItsStarterDiesFirst() throws {
        let fixture = try MonitorFixture("true")
        let reader = try Sockets.pipe().takeFirst()
        guard case .failed(let text) = try fixture.start(gate: reader.rawValue) else { throw MonitorError("created") }
        #expect(text.contains("has gone"), "\(text)")
        #expect(!Files.exists(fixture.paths.containerPID))
    }

    @Test func aSubscriberLearnsOfASignal() throws {
        let fixture = try MonitorFixture("sleep 1000")
        guard case .created(let pid) = try fixture.start(["--start"]) else { throw MonitorError("not created") }
        let connection = try Sockets.connect(to: fixture.paths.control, kind: .packets)
        try Sockets.send(ControlRequest.subscribe.bytes, on: connection)
        try Processes.kill(pid, Signals.kill)
        guard case .exited(let record)? = ControlReply(try Sockets.receive(limit: 65536, on: connection)) else {
            throw MonitorError("no record")
        }
        #expect(record.signal == 9 && record.exitCode == 137)
    }

    @Test func memoryKillsAreTold() throws {
        let fixture = try MonitorFixture("dd if=/dev/zero of=/dev/null bs=200M count=1")
        guard case .created = try fixture.start(["--start"]) else { throw MonitorError("not created") }
        let record = try #require(try fixture.waitForEnd())
        #expect(record.oomKilled && record.exitCode == 137, "\(record)")
    }

    @Test func theLogMovesOnRequest() throws {
        let fixture = try MonitorFixture("read x; echo $x; read x; echo $x")
        guard case .created = try fixture.start(["--start", "--stdin"]) else { throw MonitorError("not created") }
        let client = try Sockets.connect(to: fixture.paths.attach)
        try client.writeAll(AttachFrame(.input, Array("one\n".utf8)).bytes)
        try fixture.wait("the first line") { try fixture.lines() == ["stdout F one"] }
        try Files.rename(fixture.logPath, to: fixture.logPath + ".1")
        #expect(try fixture.ask(.reopenLog) == .done)
        try client.writeAll(AttachFrame(.input, Array("two\n".utf8)).bytes)
        #expect(try fixture.waitForEnd()?.exitCode == 0)
        #expect(try fixture.lines() == ["stdout F two"])
        #expect(try fixture.lines(in: fixture.logPath + ".1") == ["stdout F one"])
    }

    @Test func endsWithALogThatTakesNothing() throws {
        let fixture = try MonitorFixture("echo lost; exit 4")
        try Files.makeLink(fixture.logPath, to: "/dev/full")
        guard case .created = try fixture.start(["--start"]) else { throw MonitorError("not created") }
        #expect(try fixture.waitForEnd()?.exitCode == 4)
        try fixture.wait("the monitor's end") { try fixture.paths.runningMonitor() == nil }
    }

    @Test func attachCarriesBothStreamsAndTheEndOfInput() throws {
        let fixture = try MonitorFixture("cat; echo bye >&2")
        guard case .created = try fixture.start(["--stdin"]) else { throw MonitorError("not created") }
        let client = try Sockets.connect(to: fixture.paths.attach)
        try client.writeAll(AttachFrame(.input, Array("hello\n".utf8)).bytes)
        #expect(try fixture.ask(.start) == .done)
        try client.writeAll(AttachFrame(.input, []).bytes)
        var bytes = try client.readAll()
        var output = ""
        var errors = ""
        while let frame = try AttachFrame.take(from: &bytes) {
            if frame.kind == .output { output += String(decoding: frame.payload, as: UTF8.self) }
            if frame.kind == .error { errors += String(decoding: frame.payload, as: UTF8.self) }
        }
        #expect(output == "hello\n")
        #expect(errors == "bye\n")
    }

    @Test func terminalsHaveASize() throws {
        let fixture = try MonitorFixture("read x; stty size", terminal: true)
        guard case .created = try fixture.start(["--start", "--terminal", "--stdin"]) else {
            throw MonitorError("not created")
        }
        #expect(try fixture.ask(.resize(rows: 33, columns: 99)) == .done)
        let client = try Sockets.connect(to: fixture.paths.attach)
        try client.writeAll(AttachFrame(.input, Array("x\n".utf8)).bytes)
        #expect(try fixture.waitForEnd()?.exitCode == 0)
        #expect(try fixture.lines().contains("stdout F 33 99\r"))
    }

    @Test func everyByteReachesTheLog() throws {
        let fixture = try MonitorFixture("dd if=/dev/zero bs=1M count=8 2>/dev/null; echo end")
        guard case .created = try fixture.start(["--start"]) else { throw MonitorError("not created") }
        #expect(try fixture.waitForEnd()?.exitCode == 0)
        let log = try Files.read(fixture.logPath, limit: 64 << 20)
        #expect(log.count(where: { $0 == 0 }) == 8 << 20)
        #expect(String(decoding: log.suffix(4), as: UTF8.self) == "end\n")
    }
}
