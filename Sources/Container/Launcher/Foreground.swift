// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Stays with a process that runs in the foreground: hands signals on, carries a terminal's bytes, waits for the end.
struct Foreground: ~Copyable {
    /// The receiving end of the console socket; nil without a terminal.
    private let consoleReceiver: CInt?
    private let signals: FileDescriptor

    /// Bytes carried at once.
    private static let chunk = 4096

    /// Takes over the signals; to be made before the process, so that none is lost.
    init(consoleReceiver: CInt?) throws(LauncherError) {
        self.consoleReceiver = consoleReceiver
        do {
            try Signals.block([])
            signals = try Signals.descriptor([])
        } catch {
            throw LauncherError("taking over signals", error)
        }
    }

    /// Waits for the process; returns the code that a shell would report.
    borrowing func wait(for pid: Int32) throws(LauncherError) -> Int32 {
        do {
            guard let consoleReceiver else { return try carry(nil, pid) }
            var received: [CInt] = []
            let socket = FileDescriptor(owning: consoleReceiver)
            _ = try Sockets.receive(limit: 4096, descriptors: &received, on: socket)
            guard let number = received.first else { throw SystemError("console socket", errno: Errno.ENXIO) }
            return try carryTerminal(FileDescriptor(owning: number), pid)
        } catch {
            throw LauncherError("waiting for process \(pid)", error)
        }
    }

    private borrowing func carryTerminal(_ master: consuming FileDescriptor, _ pid: Int32) throws(SystemError) -> Int32
    {
        let saved = Terminal.isTerminal(0) ? try Terminal.makeRaw(0) : nil
        copySize(to: master)
        do {
            let code = try carry(master, pid)
            if let saved { try Terminal.restore(0, saved) }
            return code
        } catch {
            // The first error is the one that matters.
            if let saved { try? Terminal.restore(0, saved) }
            throw error
        }
    }

    private borrowing func copySize(to master: borrowing FileDescriptor) {
        guard Terminal.isTerminal(0) else { return }
        // A terminal without a size leaves the container's at 0 x 0, which programs understand.
        guard let size = try? Terminal.size(of: 0) else { return }
        try? Terminal.setSize(of: master, rows: size.rows, columns: size.columns)
    }

    private borrowing func carry(
        _ master: consuming FileDescriptor?, _ pid: Int32
    ) throws(SystemError) -> Int32 {
        let terminal = master?.rawValue
        var readsInput = terminal != nil
        var readsOutput = terminal != nil
        var status: ExitStatus?
        while true {
            var entries = [Polling.Entry(signals.rawValue, .readable)]
            entries.append(Polling.Entry(readsOutput ? terminal ?? -1 : -1, .readable))
            entries.append(Polling.Entry(readsInput ? 0 : -1, .readable))
            try Polling.wait(&entries, timeout: status == nil ? nil : 0)
            if !entries[1].result.isEmpty, let terminal {
                readsOutput = try Self.copy(from: terminal, to: 1)
                if readsOutput { continue }
            }
            if let status { return status.shellCode }
            if !entries[2].result.isEmpty, let terminal { readsInput = try Self.copy(from: 0, to: terminal) }
            if !entries[0].result.isEmpty { status = try handleSignals(pid, terminal) }
            if status != nil, !readsOutput { return status?.shellCode ?? 0 }
        }
    }

    private borrowing func handleSignals(_ pid: Int32, _ terminal: CInt?) throws(SystemError) -> ExitStatus? {
        var status: ExitStatus?
        while let signal = try Signals.next(signals) {
            switch signal {
            case Signals.child:
                while let ended = try reap() {
                    if ended.pid == pid { status = ended.status }
                }
            case Signals.windowChange where terminal != nil:
                if let terminal, let size = try? Terminal.size(of: 0) {
                    // The size is a courtesy.
                    let copy = try FileDescriptor.duplicate(terminal)
                    try? Terminal.setSize(of: copy, rows: size.rows, columns: size.columns)
                }
            // SIGURG is the Go runtime's own business and SIGPIPE ours.
            case 23, Signals.pipe: break
            default:
                // The process may just have ended.
                try? Processes.kill(pid, signal)
            }
        }
        return status
    }

    private borrowing func reap() throws(SystemError) -> (pid: Int32, status: ExitStatus)? {
        do {
            return try Processes.reapAny()
        } catch  where error.errno == Errno.ECHILD {
            return nil
        }
    }

    /// Copies what there is; false at the end.
    private static func copy(from source: CInt, to target: CInt) throws(SystemError) -> Bool {
        let input = try FileDescriptor.duplicate(source)
        let output = try FileDescriptor.duplicate(target)
        var buffer = [UInt8](repeating: 0, count: chunk)
        let count: Int
        do {
            count = try buffer.withUnsafeMutableBytes { bytes in
                Result { () throws(SystemError) in try input.read(into: bytes, "terminal") }
            }.get()
        } catch  where error.errno == Errno.EIO {
            // The other side of the terminal is closed.
            return false
        }
        if count == 0 { return false }
        try output.writeAll(Array(buffer.prefix(count)), "terminal")
        return true
    }
}
