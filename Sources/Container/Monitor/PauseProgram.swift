// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Process 1 of a PID namespace that the containers of a pod share: it keeps the namespace in being, and reaps what
/// processes of the containers leave behind.
///
/// It ends only by being killed from outside. Signals that containers send do not reach it: the kernel keeps them from
/// a namespace's first process, which handles none.
package enum PauseProgram {
    /// The file that a sandbox's root has the program at, and its first argument, by which the file that it shares with
    /// launcher and monitor knows what to be. Upstream's is called the same.
    package static let path = "/pause"

    /// Runs until somebody kills it; gives the exit code of a program that could not.
    package static func run() -> Int32 {
        do {
            try Signals.block([Signals.child])
            let signals = try Signals.descriptor([Signals.child])
            while true {
                // Also before the first signal: children may have come and ended until now.
                try reapAll()
                _ = try Polling.wait(signals, .readable)
                while try Signals.next(signals) != nil {}
            }
        } catch {
            StandardError.write(Array("pause: \(error)\n".utf8))
            return 1
        }
    }

    private static func reapAll() throws(SystemError) {
        do {
            while try Processes.reapAny() != nil {}
        } catch  where error.errno == Errno.ECHILD {
            return
        }
    }
}
