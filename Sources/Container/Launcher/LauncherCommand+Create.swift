// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

extension LauncherCommand {
    private static let createOptions = OptionParser(
        flags: ["no-pivot", "no-new-keyring", "detach", "keep", "no-subreaper"],
        values: ["bundle", "pid-file", "console-socket", "preserve-fds", "config"],
        short: ["b": "bundle", "d": "detach"])

    /// `create` and `run`.
    func create(_ arguments: [String], runs: Bool) throws(LauncherError) -> Int32 {
        try SealedExecutable.ensure(arguments: invocation)
        let parsed = try Self.createOptions.parse(arguments)
        let id = try onlyArgument(parsed)
        var options = CreateOptions()
        options.bundle = parsed.value("bundle") ?? "."
        options.pidFile = parsed.value("pid-file")
        options.consoleSocket = parsed.value("console-socket").flatMap { $0.isEmpty ? nil : $0 }
        options.pivotsRoot = !parsed.has("no-pivot")
        options.hasOwnKeyring = !parsed.has("no-new-keyring")
        options.preservedDescriptors = try Self.number(parsed, "preserve-fds")
        let stays = runs && !parsed.has("detach")
        let hasTerminal = try Self.wantsTerminal(options.bundle)
        let console = try Self.console(options.consoleSocket, hasTerminal: hasTerminal, stays: stays)
        let foreground = stays ? try Foreground(consoleReceiver: console.receiver) : nil
        let creation = Creation(launcher: launcher, id: id, options: options, consoleSocket: console.socket)
        var channel: CInt?
        let record = try creation.create(startsItself: runs, channel: &channel)
        guard runs, let channel else { return 0 }
        return try run(record, channel, foreground, keeps: parsed.has("keep"))
    }

    private func run(
        _ record: ContainerRecord, _ channel: CInt, _ foreground: consuming Foreground?, keeps: Bool
    ) throws(LauncherError) -> Int32 {
        do throws(LauncherError) {
            let sync = SyncChannel(FileDescriptor(owning: channel))
            try attempting("starting the container") { try sync.send(.start) }
            if case .failure(let text)? = try attempting("starting the container", { try sync.receive() }) {
                throw LauncherError(text)
            }
            try launcher.runPoststart(record)
        } catch {
            try launcher.delete(record.id, force: true)
            throw error
        }
        guard let foreground, let pid = record.pid else { return 0 }
        let code = try foreground.wait(for: pid)
        if !keeps { try launcher.clean(record) }
        return code
    }

    static func number(_ parsed: OptionParser.Result, _ name: String) throws(LauncherError) -> Int {
        guard let text = parsed.value(name) else { return 0 }
        guard let number = Int(text), (0...1024).contains(number) else {
            throw LauncherError("--\(name): \"\(text)\" is not a number between 0 and 1024")
        }
        return number
    }

    private static func wantsTerminal(_ bundle: String) throws(LauncherError) -> Bool {
        do {
            return try RuntimeSpec(parsing: try Files.read("\(bundle)/config.json")).process?.terminal == true
        } catch {
            throw LauncherError("reading \(bundle)/config.json", error)
        }
    }

    /// The socket that gets the terminal's master: the caller's, or one end of a pair where the launcher stays.
    static func console(
        _ path: String?, hasTerminal: Bool, stays: Bool
    ) throws(LauncherError) -> (socket: CInt?, receiver: CInt?) {
        guard hasTerminal else {
            if path != nil { throw LauncherError("a console socket is of no use without a terminal") }
            return (nil, nil)
        }
        if let path {
            return try attempting("connecting to the console socket") {
                (try Sockets.connect(to: path).release(), nil)
            }
        }
        guard stays else {
            throw LauncherError("cannot allocate a terminal in the background without --console-socket")
        }
        return try attempting("creating a socket pair") {
            let pair = try Sockets.pair()
            let socket = try pair.first.duplicated().release()
            return (socket, pair.takeSecond().release())
        }
    }
}
