// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// A change of the machine that heals a finding.
package enum Fix: Sendable, Hashable {
    /// Adds words to the one line of a file that the firmware reads.
    case kernelCommandLine(path: String, words: [String])
    /// Loads a kernel module now and at every start.
    case kernelModule(String)
    /// Sets a kernel variable now and at every start.
    case kernelVariable(String, value: String)

    /// The files that keep what must hold after a reboot.
    private static let modulesFile = "/etc/modules-load.d/swiftlet.conf"
    private static let variablesFile = "/etc/sysctl.d/90-swiftlet.conf"
    /// More than any of these files has.
    private static let fileLimit = 64 << 10

    /// What is going to be done, for the question.
    package var question: String {
        switch self {
        case .kernelCommandLine(let path, let words): "Add \(words.joined(separator: " ")) to \(path)?"
        case .kernelModule(let name): "Load the module \(name) now and at every start (\(Self.modulesFile))?"
        case .kernelVariable(let name, let value):
            "Set \(name)=\(value) now and at every start (\(Self.variablesFile))?"
        }
    }

    /// Whether it has an effect only after the next start of the machine.
    package var needsReboot: Bool {
        if case .kernelCommandLine = self { true } else { false }
    }

    /// Makes the change; a second time changes nothing.
    ///
    /// - Parameter root: put before every path; empty for the machine itself.
    /// - Returns: what was done, for people.
    /// - Throws: ``KernelCommandLine/EditError`` or ``SystemError``; the file is then as it was.
    package func apply(in root: String = "") throws -> String {
        switch self {
        case .kernelCommandLine(let path, let words): return try Self.edit(root + path, words)
        case .kernelModule(let name):
            try Self.keep(name, in: root + Self.modulesFile)
            if root.isEmpty { try Self.loadModule(name) }
            return "Loaded \(name); \(Self.modulesFile) keeps it so"
        case .kernelVariable(let name, let value):
            try Self.keep("\(name) = \(value)", in: root + Self.variablesFile)
            if root.isEmpty { try SystemControl.write(name, value) }
            return "Set \(name) to \(value); \(Self.variablesFile) keeps it so"
        }
    }

    private static func edit(_ path: String, _ words: [String]) throws -> String {
        let bytes = try Files.read(path, limit: fileLimit)
        guard let content = String(validating: bytes, as: UTF8.self) else {
            throw KernelCommandLine.EditError(reason: "\(path) is not text; it was left as it is")
        }
        let changed = try KernelCommandLine.adding(words, to: content, path: path)
        guard changed != content else { return "\(path) has the words already" }
        let backup = "\(path).before-swiftlet"
        // The first backup is the one from before us.
        if !Files.exists(backup) { try Files.replace(backup, with: bytes) }
        let permissions = try Files.status(path)?.permissions ?? 0o644
        try Files.replace(path, with: Array(changed.utf8), permissions: permissions)
        // On FAT a rename is only as safe as the tables that are on the card.
        try FileDescriptor.open(path, .read).synchronizeFileSystem(path)
        return "Changed \(path); the old one is \(backup)"
    }

    private static func keep(_ line: String, in path: String) throws(SystemError) {
        try Files.makeDirectories(Files.directory(of: path))
        // No such file yet is the usual case.
        let old = (try? Files.readText(path)) ?? ""
        guard !old.split(separator: "\n").contains(line[...]) else { return }
        try Files.replace(path, with: Array((old.isEmpty ? line : old + "\n" + line).utf8) + [UInt8(ascii: "\n")])
    }

    private static func loadModule(_ name: String) throws {
        let directories = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"]
        guard let path = directories.map({ "\($0)/modprobe" }).first(where: Files.isExecutable) else {
            throw SystemError("finding", "modprobe (package kmod)", errno: Errno.ENOENT)
        }
        let child = try ProcessSpawner(path: path, arguments: ["modprobe", name], environment: []).start()
        let status = try Processes.wait(for: child.process)
        guard status.shellCode == 0 else { throw SystemError("modprobe", name, errno: Errno.ENODEV) }
    }
}
