// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Runs the hooks of a configuration (config.md, "POSIX-platform Hooks").
enum HookRunner {
    /// Runs hooks one after the other, each with the container's state on its standard input.
    ///
    /// - Throws: the first failure: a hook that cannot be started, that ends with another code than 0, or that takes
    ///   longer than its timeout (it is killed then).
    static func run(_ hooks: [RuntimeSpec.Hook], _ name: String, state: ContainerState) throws(LauncherError) {
        for (index, hook) in hooks.enumerated() {
            do {
                try run(hook, input: state.serialized())
            } catch {
                throw LauncherError("\(name) hook #\(index) (\(hook.path))", error)
            }
        }
    }

    /// Runs hooks whose failure must not stop anything; each failure is logged.
    static func runAll(
        _ hooks: [RuntimeSpec.Hook], _ name: String, state: ContainerState, log: Log
    ) {
        for hook in hooks {
            do {
                try run([hook], name, state: state)
            } catch {
                log.warn(error.description)
            }
        }
    }

    private static func run(_ hook: RuntimeSpec.Hook, input: [UInt8]) throws {
        // A file in memory takes a state of any size, also for a hook that never reads it.
        let state = try FileDescriptor.inMemory("state", input)
        var spawner = ProcessSpawner(
            path: hook.path, arguments: hook.args.isEmpty ? [hook.path] : hook.args,
            environment: hook.env.isEmpty ? Processes.environment() : hook.env)
        spawner.descriptors = [(state.rawValue, 0)]
        let child = try spawner.start()
        if let seconds = hook.timeout {
            guard try Polling.wait(child.process, .readable, timeout: Int32(clamping: seconds * 1000)) else {
                try Processes.signal(child.process, Signals.kill)
                _ = try Processes.wait(for: child.process)
                throw LauncherError("timed out after \(seconds) s")
            }
        }
        switch try Processes.wait(for: child.process) {
        case .exited(0): return
        case .exited(let code): throw LauncherError("exited with code \(code)")
        case .signaled(let signal): throw LauncherError("was killed by signal \(signal)")
        }
    }
}
