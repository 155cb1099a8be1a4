// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Synchronization

/// Watches over a process that a launcher runs in a container, without a thread that waits for it; and ends it when nobody wants
/// it any more.
///
/// The launcher hands on signals, but the one that ends every process it cannot: so that goes to the process itself, whose number
/// the launcher writes once its program runs.
final class ExecLife: Sendable {
    /// How often, with which pause between, the process is looked for and waited for before its launcher is killed instead.
    private static let attempts = 40
    private static let pause = Duration.milliseconds(50)

    private let exec: ExecProcess
    private let pidFile: String
    private let hasEnded = Mutex(false)
    /// Waits for the launcher's end, whoever is cancelled.
    private let watch: Task<Void, Never>

    /// - Parameter end: Returns when the launcher has ended, or when its task is cancelled.
    init(_ exec: ExecProcess, pidFile: String, end: @escaping @Sendable () async -> Void) {
        self.exec = exec
        self.pidFile = pidFile
        watch = Task { await end() }
    }

    /// Waits until the launcher has ended; being cancelled changes nothing about that.
    func waitForEnd() async {
        await watch.value
        hasEnded.withLock { $0 = true }
    }

    /// Waits for the task to be cancelled, and ends the process then unless it has ended already.
    func endWhenCancelled() async {
        do {
            while true { try await Task.sleep(for: .seconds(1 << 30)) }
        } catch {
            if hasEnded.withLock({ $0 }) { return }
            // In a task of its own, for it has to wait.
            await Task { await self.end() }.value
        }
    }

    private func end() async {
        var isKilled = false
        for _ in 0..<Self.attempts {
            if hasEnded.withLock({ $0 }) { return }
            if !isKilled { isKilled = killProcess() }
            // Nobody cancels this task.
            try? await Task.sleep(for: Self.pause)
        }
        // It hangs in the kernel, or it never came to its program.
        kill { () throws(SystemError) in
            try Processes.signal(LinuxSystem.FileDescriptor.duplicate(exec.process), Signals.kill)
        }
        watch.cancel()
    }

    /// Whether the process had a number to be killed by.
    private func killProcess() -> Bool {
        // The launcher may not have got so far.
        guard let text = try? Files.readText(pidFile), let pid = Int32(text) else { return false }
        kill { () throws(SystemError) in try Processes.kill(pid, Signals.kill) }
        return true
    }

    private func kill(_ body: () throws(SystemError) -> Void) {
        // It may have ended by itself.
        try? body()
    }
}
