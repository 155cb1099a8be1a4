// SPDX-License-Identifier: Apache-2.0

/// Who is at the other end of a process that exec adds or attach reaches.
package protocol ProcessClient: Sendable {
    /// The next input; nil when the client is gone.
    func receive() async throws -> ProcessInput?
    /// Takes output of the process.
    func send(_ bytes: [UInt8], isError: Bool) async throws
}

/// What a client sends to a process.
package enum ProcessInput: Hashable, Sendable {
    case stdin([UInt8])
    /// Its standard input is at its end.
    case stdinClosed
    case resize(width: UInt16, height: UInt16)
}

/// Which streams a process has.
package struct ProcessStreamOptions: Hashable, Sendable {
    package var stdin: Bool
    package var stdout: Bool
    package var stderr: Bool
    package var tty: Bool

    package init(stdin: Bool = false, stdout: Bool = false, stderr: Bool = false, tty: Bool = false) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr && !tty
        self.tty = tty
    }
}

/// What a command printed and how it ended.
package struct CommandResult: Hashable, Sendable {
    package var exitCode: Int
    /// Both streams, cut at a limit.
    package var output: [UInt8]

    package init(exitCode: Int, output: [UInt8]) {
        self.exitCode = exitCode
        self.output = output
    }
}
