// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The user of a container's process, with names looked up in its root file system.
package struct ImageUser: Hashable, Sendable {
    package var userID: UInt32
    package var groupID: UInt32
    /// Groups of /etc/group that have the user as a member.
    package var additionalGroups: [UInt32] = []
    /// The home directory of /etc/passwd, `/` where there is none.
    package var home = "/"
    /// Whether the user was given by a name, so that the image decides which number it is.
    package var isNamed = false
    /// The user's name in /etc/passwd; nil for a number that has none.
    package var name: String?

    /// The most bytes of /etc/passwd and /etc/group that are read.
    static let maximumFileSize = 1 << 20

    /// Resolves `USER`, `UID`, `USER:GROUP` and so on as runc and containerd do; an empty text is root.
    ///
    /// A number needs no entry; a name without one is an error. The files are read with the root file system as root, so
    /// that a symbolic link leads nowhere else.
    package init(_ text: String, rootFileSystem: String) throws(ImageError) {
        let operation = "resolve user \"\(text)\""
        let (passwd, group) = try translating(operation) {
            let root = SharedDirectory(try DirectoryHandle(path: rootFileSystem))
            return (try Self.lines("etc/passwd", root), try Self.lines("etc/group", root))
        }
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let user = parts.first.map { $0.isEmpty ? "0" : $0 } ?? "0"
        let number = UInt32(user).flatMap { $0 <= UInt32(Int32.max) ? $0 : nil }
        // As runc does: an entry of that name comes first, then one of that number.
        let entry =
            passwd.first { $0[0] == user && $0.count >= 4 }
            ?? passwd.first { number != nil && $0.count >= 4 && UInt32($0[2]) == number }
        guard let userID = entry.flatMap({ UInt32($0[2]) }) ?? number else {
            throw ImageError(
                .notFound, operation, "unable to find user \(user): no matching entries in passwd file",
                remedy: "use a numeric user, or one of the image's /etc/passwd")
        }
        self.userID = userID
        groupID = entry.flatMap { UInt32($0[3]) } ?? 0
        isNamed = number == nil
        name = entry.map { $0[0] }
        if let entry, entry.count >= 6, !entry[5].isEmpty { home = entry[5] }
        if parts.count == 2, !parts[1].isEmpty {
            groupID = try Self.group(parts[1], group, operation)
        } else if let name {
            additionalGroups = group.filter { $0.count >= 4 && $0[3].split(separator: ",").contains(Substring(name)) }
                .compactMap { UInt32($0[2]) }.filter { $0 != groupID }.sorted()
        }
    }

    private static func group(_ text: String, _ entries: [[String]], _ operation: String) throws(ImageError) -> UInt32 {
        let number = UInt32(text).flatMap { $0 <= UInt32(Int32.max) ? $0 : nil }
        if let entry = entries.first(where: { $0[0] == text && $0.count >= 3 }), let found = UInt32(entry[2]) {
            return found
        }
        guard let number else {
            throw ImageError(
                .notFound, operation, "unable to find group \(text): no matching entries in group file",
                remedy: "use a numeric group, or one of the image's /etc/group")
        }
        return number
    }

    /// The lines of a file, cut at colons; none where the file does not exist.
    private static func lines(_ path: String, _ root: SharedDirectory) throws -> [[String]] {
        let file: SharedFile
        do {
            file = SharedFile(try root.handle.openFile(inRoot: path))
        } catch {
            guard error.isMissing || error.isNotDirectory else { throw error }
            return []
        }
        // A pipe or device in its place would hold us up or never end.
        guard try file.descriptor.status(path).kind == .regular else { return [] }
        let text = String(decoding: try file.descriptor.bytes(limit: maximumFileSize, path), as: UTF8.self)
        return text.split(separator: "\n").map {
            $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
    }
}
