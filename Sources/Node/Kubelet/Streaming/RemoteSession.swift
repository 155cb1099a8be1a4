// SPDX-License-Identifier: Apache-2.0

package import JSON

/// What the client of an exec or attach sends.
package enum RemoteInput: Hashable, Sendable {
    case stdin([UInt8])
    /// The client's standard input is at its end.
    case stdinClosed
    case resize(width: UInt16, height: UInt16)
}

/// Which streams an exec or attach has, from its query: `stdin=1&stdout=1&stderr=1&tty=1`.
package struct RemoteStreamOptions: Hashable, Sendable {
    package var stdin = false
    package var stdout = false
    package var stderr = false
    package var tty = false

    package init(stdin: Bool = false, stdout: Bool = false, stderr: Bool = false, tty: Bool = false) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr && !tty
        self.tty = tty
    }
}

/// The client's end of an exec or attach, whatever protocol it speaks.
package protocol RemoteSession: Sendable {
    /// The next input; nil when the client is gone.
    func receive() async throws -> RemoteInput?
    /// Sends output of the process.
    func send(_ bytes: [UInt8], isError: Bool) async throws
    /// Tells how it ended and closes.
    func finish(_ outcome: RemoteOutcome) async
}

/// How an exec or attach ended.
package enum RemoteOutcome: Hashable, Sendable {
    /// The process ended with that code; 0 is success.
    case exited(Int)
    /// It could not be run, or the connection to it broke.
    case failed(String)

    /// The `Status` that clients read from the error channel (k8s.io/client-go: remotecommand v4).
    package var status: JSON {
        switch self {
        case .exited(0): ["metadata": [:], "status": "Success"]
        case .exited(let code):
            [
                "metadata": [:], "status": "Failure",
                "message": .string("command terminated with non-zero exit code: exit status \(code)"),
                "reason": "NonZeroExitCode",
                "details": ["causes": [["reason": "ExitCode", "message": .string("\(code)")]]],
            ]
        case .failed(let message):
            [
                "metadata": [:], "status": "Failure", "reason": "InternalError", "code": 500,
                "message": .string("Internal error occurred: \(message)"),
            ]
        }
    }

    /// What clients of older protocols get: nothing for success, else a text.
    package var text: String {
        switch self {
        case .exited(0): ""
        case .exited(let code): "command terminated with non-zero exit code: exit status \(code)"
        case .failed(let message): message
        }
    }

    /// The bytes for the error channel.
    func report(asStatus: Bool) -> [UInt8] { asStatus ? status.serialized() : Array(text.utf8) }
}

/// A terminal's size as clients write it.
enum TerminalSizeMessage {
    static func parse(_ bytes: [UInt8]) -> RemoteInput? {
        // A malformed size is not worth the session.
        guard let json = try? JSON.parse(bytes), let width = json["Width"]?.int, let height = json["Height"]?.int,
            let width = UInt16(exactly: width), let height = UInt16(exactly: height)
        else { return nil }
        return .resize(width: width, height: height)
    }
}

/// Exec and attach over WebSocket channels.
struct WebSocketRemoteSession: RemoteSession {
    let connection: WebSocketConnection
    let channels: ChannelProtocol
    let options: RemoteStreamOptions

    /// Clients wait for an empty message on each output channel (wsstream: "we write an empty message").
    func begin() async throws {
        var open: [UInt8] = []
        if options.stdout { open.append(ChannelProtocol.Channel.stdout) }
        if options.stderr { open.append(ChannelProtocol.Channel.stderr) }
        open.append(ChannelProtocol.Channel.error)
        for channel in open { try await connection.write(channels.frame(channel: channel, [])) }
    }

    func receive() async throws -> RemoteInput? {
        while let message = try await connection.receive() {
            switch try channels.decode(message) {
            case .data(ChannelProtocol.Channel.stdin, let bytes):
                if options.stdin, !bytes.isEmpty { return .stdin(bytes) }
            case .data(ChannelProtocol.Channel.resize, let bytes):
                if let size = TerminalSizeMessage.parse(bytes) { return size }
            case .closed(ChannelProtocol.Channel.stdin): return .stdinClosed
            case .data, .closed, nil: break
            }
        }
        return nil
    }

    func send(_ bytes: [UInt8], isError: Bool) async throws {
        let channel = isError ? ChannelProtocol.Channel.stderr : ChannelProtocol.Channel.stdout
        guard isError ? options.stderr : options.stdout else { return }
        try await connection.write(channels.frame(channel: channel, bytes))
    }

    func finish(_ outcome: RemoteOutcome) async {
        let report = outcome.report(asStatus: channels.reportsStatus)
        // The client may be gone already.
        if !report.isEmpty {
            try? await connection.write(channels.frame(channel: ChannelProtocol.Channel.error, report))
        }
        await connection.close()
    }
}

/// Exec and attach over SPDY streams.
struct SPDYRemoteSession: RemoteSession {
    private let connection: SPDYConnection
    private let reportsStatus: Bool
    private let streams: [String: SPDYStream]
    private let inputs = BoundedChannel<RemoteInput>(limit: 16)

    /// Waits until the client has opened all its streams; throws when it does not in time.
    init(
        _ connection: SPDYConnection, options: RemoteStreamOptions, protocolName: String
    ) async throws {
        self.connection = connection
        reportsStatus = protocolName == "v4.channel.k8s.io"
        var expected: Set<String> = ["error"]
        if options.stdin { expected.insert("stdin") }
        if options.stdout { expected.insert("stdout") }
        if options.stderr { expected.insert("stderr") }
        let resizes = protocolName == "v4.channel.k8s.io" || protocolName == "v3.channel.k8s.io"
        if options.tty, resizes { expected.insert("resize") }
        var found: [String: SPDYStream] = [:]
        while !expected.isSubset(of: found.keys) {
            guard let stream = await connection.accepted.receive() else {
                throw SPDYError("the client closed the connection before opening its streams")
            }
            found[stream.headers["streamtype"] ?? ""] = stream
        }
        streams = found
    }

    /// Moves what the client sends on several streams into one queue, until it is gone.
    func pump() async {
        await withDiscardingTaskGroup { group in
            if let stdin = streams["stdin"] {
                group.addTask {
                    while let bytes = await stdin.input.receive() { await inputs.send(.stdin(bytes)) }
                    await inputs.send(.stdinClosed)
                }
            }
            if let resize = streams["resize"] {
                group.addTask {
                    while let bytes = await resize.input.receive() {
                        if let size = TerminalSizeMessage.parse(bytes) { await inputs.send(size) }
                    }
                }
            }
            if let error = streams["error"] {
                // It carries nothing from the client, and ends with the connection.
                group.addTask { while await error.input.receive() != nil {} }
            }
        }
    }

    func clientIsGone() { inputs.finish() }

    func receive() async throws -> RemoteInput? { await inputs.receive() }

    func send(_ bytes: [UInt8], isError: Bool) async throws {
        try await streams[isError ? "stderr" : "stdout"]?.write(bytes)
    }

    func finish(_ outcome: RemoteOutcome) async {
        let report = outcome.report(asStatus: reportsStatus)
        // The client may be gone already.
        if !report.isEmpty { try? await streams["error"]?.write(report) }
        for name in ["stdout", "stderr", "error"] { await streams[name]?.finish() }
    }
}
