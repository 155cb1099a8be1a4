// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The file that says that an agent runs with a run directory, which process it is, and as what it runs. The lock ends with
/// the process.
package struct AgentLock: ~Copyable {
    private static let name = "agent.pid"
    /// The digits of the largest process number.
    private static let numberLength = 10

    /// Whoever looks for the holder has the lock for a moment.
    private static let attempts = 10
    private static let pauseMilliseconds = 20

    /// What an agent is in its cluster.
    package enum Role: String, Sendable {
        case server, worker
    }

    /// A running agent.
    package struct Holder: Sendable, Hashable {
        package let pid: Int32
        package let role: Role
    }

    private let file: FileDescriptor

    /// Takes the lock and writes this process's number and role.
    ///
    /// - Throws: ``AgentLockError`` when another agent has it.
    init(runDirectory: String, role: Role) throws {
        let directory = try DirectoryHandle(path: runDirectory)
        let file = try directory.openOrCreateFile(Self.name, permissions: 0o644)
        var isLocked = false
        for attempt in 1...Self.attempts {
            isLocked = try file.tryLock("\(runDirectory)/\(Self.name)")
            if isLocked || attempt == Self.attempts { break }
            Processes.sleep(milliseconds: Self.pauseMilliseconds)
        }
        guard isLocked else {
            let pid = try Self.read(directory).map { "\($0.pid)" } ?? "?"
            throw AgentLockError(runDirectory: runDirectory, pid: pid)
        }
        // Of one length always, so that nothing of an older number stays.
        let number = String(Processes.current)
        let padding = String(repeating: " ", count: max(0, Self.numberLength - number.utf8.count))
        try file.writeAll("\(number)\(padding) \(role.rawValue)\n", "\(runDirectory)/\(Self.name)")
        self.init(owning: file)
    }

    private init(owning file: consuming FileDescriptor) { self.file = file }

    private static func read(_ directory: borrowing DirectoryHandle) throws -> Holder? {
        guard let bytes = try directory.readFile(name, limit: 64) else { return nil }
        let words = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard words.count == 2, let pid = Int32(words[0]), let role = Role(rawValue: String(words[1])) else {
            return nil
        }
        return Holder(pid: pid, role: role)
    }

    /// Gives the lock back.
    consuming func release() {}

    /// The agent that runs with this run directory; nil where none does.
    package static func holder(runDirectory: String) throws -> Holder? {
        guard Files.exists("\(runDirectory)/\(name)") else { return nil }
        let directory = try DirectoryHandle(path: runDirectory)
        let file = try directory.openOrCreateFile(name, permissions: 0o644)
        if try file.tryLock(name) { return nil }
        return try read(directory)
    }
}

/// Two agents with one run directory.
package struct AgentLockError: Error, Hashable, Sendable, CustomStringConvertible {
    package let runDirectory: String
    package let pid: String

    package var description: String {
        "another agent (process \(pid)) runs already with \(runDirectory); stop it, or give this one directories of its own"
    }
}
