// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// A program to start from a threaded process.
///
/// The child runs nothing but bare system calls between clone(2) and execve(2) (see spawn.c), so any thread may start
/// it. It inherits exactly the descriptors in ``descriptors`` (and 0, 1, 2, where they are not replaced), the default
/// action for every signal and an empty signal mask.
package struct ProcessSpawner: Sendable {
    /// The program's file; it is not searched for.
    package var path: String
    /// The arguments including `argv[0]`.
    package var arguments: [String]
    /// The whole environment, `KEY=value`.
    package var environment: [String]
    /// The working directory; nil keeps the caller's.
    package var directory: String?
    /// Descriptors of the caller and the numbers that they get in the program; at most 64.
    package var descriptors: [(from: CInt, to: CInt)] = []
    /// Open `cgroup.procs` files to enter (cgroup v1: one for each hierarchy; they work on v2 too).
    package var cgroupProcs: [CInt] = []
    /// An open cgroup v2 directory to be born in.
    package var cgroup: CInt?
    /// An open network namespace to join.
    package var networkNamespace: CInt?
    /// Whether the program leads a new session.
    package var startsSession = false
    /// The signal that the program gets when the thread that started it dies; nil for none.
    package var parentDeathSignal: Int32?

    package init(path: String, arguments: [String], environment: [String] = []) {
        self.path = path
        self.arguments = arguments
        self.environment = environment
    }

    /// A started program.
    package struct Child: ~Copyable, Sendable {
        /// Its number; it stays reserved until the child is waited for.
        package let pid: Int32
        /// Its descriptor: readable when it has ended (`Processes.wait(for:)` reaps it).
        package let process: FileDescriptor
    }

    /// Starts the program and returns once it runs.
    ///
    /// - Throws: what kept it from running, with the step that failed and the path.
    package func start() throws(SystemError) -> Child {
        let pairs = descriptors.map { clinux_spawn_fd(from: $0.from, to: $0.to) }
        var pid: pid_t = 0
        var pidfd: CInt = -1
        var step: CInt = 0
        let error = Processes.withCStrings(arguments) { arguments in
            Processes.withCStrings(environment) { environment in
                Processes.withCStrings([path] + (directory.map { [$0] } ?? [])) { paths in
                    pairs.withUnsafeBufferPointer { pairs in
                        cgroupProcs.withUnsafeBufferPointer { groups in
                            arguments.withUnsafeBufferPointer { arguments in
                                environment.withUnsafeBufferPointer { environment in
                                    var spec = clinux_spawn()
                                    spec.path = UnsafePointer(paths[0])
                                    spec.directory = directory == nil ? nil : UnsafePointer(paths[1])
                                    spec.argv = arguments.baseAddress
                                    spec.envp = environment.baseAddress
                                    spec.fds = pairs.baseAddress
                                    spec.fd_count = pairs.count
                                    spec.cgroup_procs = groups.baseAddress
                                    spec.cgroup_procs_count = groups.count
                                    spec.cgroup = cgroup ?? -1
                                    spec.network_namespace = networkNamespace ?? -1
                                    spec.new_session = startsSession ? 1 : 0
                                    spec.parent_death_signal = parentDeathSignal ?? 0
                                    return clinux_spawn(&spec, &pid, &pidfd, &step)
                                }
                            }
                        }
                    }
                }
            }
        }
        guard error == 0 else { throw SystemError(Self.name(ofStep: step), path, errno: error) }
        return Child(pid: pid, process: FileDescriptor(owning: pidfd))
    }

    private static func name(ofStep step: CInt) -> String {
        switch UInt32(bitPattern: step) {
        case CLINUX_SPAWN_SESSION.rawValue: "setsid for"
        case CLINUX_SPAWN_CGROUP.rawValue: "entering the cgroup for"
        case CLINUX_SPAWN_NAMESPACE.rawValue: "entering the network namespace for"
        case CLINUX_SPAWN_DESCRIPTORS.rawValue: "passing descriptors to"
        case CLINUX_SPAWN_DIRECTORY.rawValue: "changing directory for"
        case CLINUX_SPAWN_EXEC.rawValue: "exec"
        default: "clone3 for"
        }
    }
}
