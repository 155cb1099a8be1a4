// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// The file that says that an agent runs with a run directory, and which process it is. The lock ends with the process.
package struct AgentLock: ~Copyable {
    private static let name = "agent.pid"
    /// The digits of the largest process number.
    private static let numberLength = 10

    private let file: FileDescriptor

    /// Takes the lock and writes this process's number.
    ///
    /// - Throws: ``AgentLockError`` when another agent has it.
    init(runDirectory: String) throws {
        let directory = try DirectoryHandle(path: runDirectory)
        let file = try directory.openOrCreateFile(Self.name, permissions: 0o644)
        guard try file.tryLock("\(runDirectory)/\(Self.name)") else {
            let pid = try Self.readNumber(directory).map(String.init) ?? "?"
            throw AgentLockError(runDirectory: runDirectory, pid: pid)
        }
        // Of one length always, so that nothing of an older number stays.
        let number = String(Processes.current)
        let padding = String(repeating: " ", count: max(0, Self.numberLength - number.utf8.count))
        try file.writeAll("\(number)\(padding)\n", "\(runDirectory)/\(Self.name)")
        self.init(owning: file)
    }

    private init(owning file: consuming FileDescriptor) { self.file = file }

    private static func readNumber(_ directory: borrowing DirectoryHandle) throws -> Int32? {
        try directory.readFile(name, limit: 64)
            .flatMap { String(decoding: $0, as: UTF8.self).split(whereSeparator: \.isWhitespace).first }
            .flatMap { Int32($0) }
    }

    /// Gives the lock back.
    consuming func release() {}

    /// The process of the agent that runs with this run directory; nil where none does.
    package static func holder(runDirectory: String) throws -> Int32? {
        guard Files.exists("\(runDirectory)/\(name)") else { return nil }
        let directory = try DirectoryHandle(path: runDirectory)
        let file = try directory.openOrCreateFile(name, permissions: 0o644)
        if try file.tryLock(name) { return nil }
        return try readNumber(directory)
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
