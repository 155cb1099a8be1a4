// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import PKI

/// A file of a volume that is made from objects.
package struct VolumeFile: Hashable, Sendable {
    package var content: [UInt8]
    /// Permission bits.
    package var mode: UInt32
    /// The owner; nil for root.
    package var owner: UInt32?

    package init(content: [UInt8], mode: UInt32, owner: UInt32? = nil) {
        self.content = content
        self.mode = mode
        self.owner = owner
    }
}

/// A directory whose files change all at once, as upstream's AtomicWriter lays it out: the files live in a directory
/// with a time stamp's name, `..data` is a symbolic link to it, and each visible name links into `..data`.
package struct AtomicDirectory {
    private static let dataLink = "..data"

    package let path: String
    /// The group that gets the files; nil leaves root's.
    package var group: UInt32?

    package init(path: String, group: UInt32? = nil) {
        self.path = path
        self.group = group
    }

    /// Makes the directory hold exactly these files, by relative path; true if anything changed.
    @discardableResult
    package func write(_ files: [String: VolumeFile], stamp: String) throws -> Bool {
        try Files.makeDirectories(path)
        let link = "\(path)/\(Self.dataLink)"
        // No link yet: the volume is new.
        let old = try? Files.linkTarget(link)
        let isCurrent = try old.map { try holds(files, in: "\(path)/\($0)") } ?? false
        if !isCurrent { try replaceData(with: files, stamp: stamp) }
        // Always: a crash may have come between the data and the names, or what is no longer needed.
        try linkNames(of: files)
        try removeStale()
        return !isCurrent
    }

    private func replaceData(with files: [String: VolumeFile], stamp: String) throws {
        let fresh = "..\(stamp).\(hexadecimal(try randomBytes(count: 4)))"
        let temporary = "\(path)/..data_tmp"
        do {
            try fill("\(path)/\(fresh)", files)
            try Files.remove(temporary)
            try Files.makeLink(temporary, to: fresh)
            try Files.rename(temporary, to: "\(path)/\(Self.dataLink)")
        } catch {
            // The next attempt removes what cannot be removed now; why there is one is the first error.
            try? Files.removeTree("\(path)/\(fresh)")
            throw error
        }
    }

    /// Removes directories that `..data` does not lead to.
    private func removeStale() throws {
        let current = try Files.linkTarget("\(path)/\(Self.dataLink)")
        for name in try Files.names(in: path)
        where name.hasPrefix("..") && name != Self.dataLink && name != current {
            try Files.removeTree("\(path)/\(name)")
        }
    }

    private func holds(_ files: [String: VolumeFile], in directory: String) throws -> Bool {
        var found: Set<String> = []
        try collect(directory, prefix: "", into: &found)
        guard found == Set(files.keys) else { return false }
        for (name, file) in files {
            if try Files.read("\(directory)/\(name)") != file.content { return false }
            if try Files.status("\(directory)/\(name)")?.permissions != mode(file) { return false }
        }
        return true
    }

    private func collect(_ directory: String, prefix: String, into found: inout Set<String>) throws {
        for name in try Files.names(in: directory) {
            if try Files.status("\(directory)/\(name)")?.kind == .directory {
                try collect("\(directory)/\(name)", prefix: "\(prefix)\(name)/", into: &found)
            } else {
                found.insert(prefix + name)
            }
        }
    }

    private func fill(_ directory: String, _ files: [String: VolumeFile]) throws {
        try Files.makeDirectories(directory)
        for (name, file) in files.sorted(by: { $0.key < $1.key }) {
            let whole = "\(directory)/\(name)"
            try Files.makeDirectories(Files.directory(of: whole))
            let descriptor = try FileDescriptor.open(whole, [.write, .create, .truncate], permissions: 0o600)
            try descriptor.writeAll(file.content, whole)
            if group != nil || file.owner != nil {
                try descriptor.setOwner(file.owner ?? 0, group: group ?? 0, whole)
            }
            try descriptor.setPermissions(mode(file), whole)
        }
    }

    /// A group that shares the volume may at least read (upstream: fsGroup adds 0440).
    private func mode(_ file: VolumeFile) -> UInt32 { group == nil ? file.mode : file.mode | 0o440 }

    private func linkNames(of files: [String: VolumeFile]) throws {
        let wanted = Set(files.keys.map { String($0.prefix { $0 != "/" }) })
        let present = Set(try Files.names(in: path).filter { !$0.hasPrefix("..") })
        for name in wanted.subtracting(present) {
            try Files.makeLink("\(path)/\(name)", to: "\(Self.dataLink)/\(name)")
        }
        for name in present.subtracting(wanted) { try Files.remove("\(path)/\(name)") }
    }
}
