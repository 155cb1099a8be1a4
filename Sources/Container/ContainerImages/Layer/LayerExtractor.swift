// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Makes the files of a layer below a directory, as an overlayfs lower directory.
///
/// Nothing outside the directory can be reached: paths are resolved by openat2(2) with the directory as root, and names
/// are created with `O_EXCL` and `O_NOFOLLOW`. Whiteouts (image-spec, layer.md) become overlayfs' marks, a character
/// device 0/0 and the attribute `trusted.overlay.opaque`. Not thread-safe; one task uses it at a time.
final class LayerExtractor {
    /// What the layer left open, for ``LayerCommit`` to settle with the layers below.
    struct Leftovers: Sendable {
        /// Directories that no member described; "" is the root.
        var impliedDirectories: [String] = []
        /// Hard links to files of lower layers.
        var links: [(path: LayerPath, target: LayerPath)] = []
    }

    let root: SharedDirectory
    private let replaced: SharedDirectory
    private let limits: ImageLimits
    private(set) var leftovers = Leftovers()
    /// Bytes that the files of this layer take up.
    private(set) var diskBytes: UInt64 = 0
    private(set) var entryCount = 0
    private var writtenSinceCheck: UInt64 = 0
    private var replacedCount = 0
    private var cache: (path: String, directory: SharedDirectory)?
    private var implied: Set<String> = [""]
    private var current: (entry: TarEntry, parent: SharedDirectory, name: String, file: SharedFile)?
    /// Directories' time stamps are set last, because making files in them changes them.
    private var directoryTimes: [String: FileTime] = [:]

    /// Extracts to `fs` and `replaced` below the layer's directory, which exist and are empty.
    init(layer: borrowing DirectoryHandle, limits: ImageLimits) throws {
        root = SharedDirectory(try layer.openDirectory(LayerDirectory.files))
        replaced = SharedDirectory(try layer.openDirectory(LayerDirectory.replaced))
        self.limits = limits
    }

    /// Begins a member; true if its content is wanted by ``write(_:)``. `onReplace` is told of a regular file that the
    /// member takes the place of.
    func begin(_ entry: TarEntry, onReplace: (String) throws -> Void) throws -> Bool {
        entryCount += 1
        guard entryCount <= limits.layerEntries else {
            throw ImageError(.malformed, "", "the layer has more than \(limits.layerEntries) members")
        }
        let path = try LayerPath(entry.path)
        guard let name = path.name else {
            try describeRoot(entry)
            return false
        }
        if name.hasPrefix(".wh.") {
            try whiteOut(path, name)
            return false
        }
        let parent = try directory(path.parent)
        return try make(entry, path, name, in: parent, onReplace: onReplace)
    }

    /// Writes the next bytes of the member that asked for them.
    func write(_ bytes: UnsafeRawBufferPointer) throws {
        guard let current else { return }
        try current.file.descriptor.write(bytes, current.entry.path)
        writtenSinceCheck += UInt64(bytes.count)
        if writtenSinceCheck >= 32 << 20 { try checkSpace() }
    }

    /// Completes the member.
    func end() throws {
        guard let current else { return }
        let entry = current.entry
        try describe(current.file, entry)
        diskBytes += try current.file.descriptor.status(entry.path).allocatedBytes
        self.current = nil
    }

    /// Sets what could only be set last; after this the layer's files are complete.
    func finish() throws {
        for (path, time) in directoryTimes {
            // A later member may have replaced the directory or one above it.
            do {
                try root.handle.openDirectory(inRoot: path).descriptor.setTime(time, path)
            } catch {
                guard error.isMissing || error.isNotDirectory else { throw error }
            }
        }
        leftovers.impliedDirectories = implied.sorted()
    }

    /// Fails early with a clear error rather than to fill the disk to the last byte.
    func checkSpace() throws {
        writtenSinceCheck = 0
        let space = try root.handle.descriptor.space(root.handle.path)
        guard space.availableBytes >= limits.reservedDiskBytes else {
            throw ImageError(
                .noSpace, "", "only \(space.availableBytes >> 20) MiB are left on the disk",
                remedy: "free disk space, for example by removing unused images")
        }
    }
}

// MARK: - Directories

extension LayerExtractor {
    /// The directory at a path, made where it is missing.
    private func directory(_ path: String) throws -> SharedDirectory {
        if let cache, cache.path == path { return cache.directory }
        let found: SharedDirectory
        do {
            found = SharedDirectory(try root.handle.openDirectory(inRoot: path))
        } catch {
            if error.isNotDirectory {
                throw ImageError(.malformed, "", "\"\(path)\" is used as a directory but is none")
            }
            guard error.isMissing else { throw error }
            found = try makeImpliedDirectories(path)
        }
        cache = (path, found)
        return found
    }

    /// Makes a directory and those above it that no member has described yet.
    private func makeImpliedDirectories(_ path: String) throws -> SharedDirectory {
        var parent = root
        var prefix = ""
        for component in path.split(separator: "/").map(String.init) {
            let next = prefix.isEmpty ? component : "\(prefix)/\(component)"
            do {
                parent = SharedDirectory(try root.handle.openDirectory(inRoot: next))
            } catch {
                guard error.isMissing else { throw error }
                do {
                    try parent.handle.makeDirectory(component)
                } catch {
                    guard error.isExisting else { throw error }
                    throw ImageError(
                        .malformed, "", "\"\(next)\" is a symbolic link that leads nowhere, not a directory")
                }
                implied.insert(next)
                parent = SharedDirectory(try parent.handle.openDirectory(component))
            }
            prefix = next
        }
        return parent
    }

    private func describeRoot(_ entry: TarEntry) throws {
        guard entry.kind == .directory else { return }
        implied.remove("")
        try describeDirectory(root, entry)
        directoryTimes[""] = entry.modified
    }

    private func describeDirectory(_ directory: SharedDirectory, _ entry: TarEntry) throws {
        let descriptor = SharedFile(try FileDescriptor.duplicate(directory.handle.descriptor.rawValue))
        try describe(descriptor, entry)
    }

    /// Sets owner, then mode (chown clears set-uid), attributes (chown clears capabilities too) and time.
    private func describe(_ file: SharedFile, _ entry: TarEntry) throws {
        try file.descriptor.setOwner(entry.owner, group: entry.group, entry.path)
        try file.descriptor.setPermissions(entry.permissions, entry.path)
        for attribute in entry.attributes where Self.isAllowed(attribute.name) {
            do {
                try file.descriptor.setAttribute(attribute.name, attribute.value, entry.path)
            } catch {
                // A file system without such attributes; containerd goes on as well.
                guard error.isUnsupported else { throw error }
            }
        }
        if entry.kind == .regular { try file.descriptor.setTime(entry.modified, entry.path) }
    }

    /// Attributes that an image may set. `trusted.*` is the host's and overlayfs' own, security modules label files
    /// themselves.
    private static func isAllowed(_ name: String) -> Bool {
        name == "security.capability" || (name.hasPrefix("user.") && !name.hasPrefix("user.overlay."))
    }
}

// MARK: - Members

extension LayerExtractor {
    private func make(
        _ entry: TarEntry, _ path: LayerPath, _ name: String, in parent: SharedDirectory,
        onReplace: (String) throws -> Void
    ) throws -> Bool {
        if case .unknown = entry.kind { return false }
        do {
            return try create(entry, path, name, in: parent, hidesLower: false)
        } catch let error as SystemError where error.isExisting {
            let hidesLower = try clear(entry, path, name, in: parent, onReplace: onReplace)
            return try create(entry, path, name, in: parent, hidesLower: hidesLower)
        }
    }

    /// Makes the member; EEXIST where the name is taken. True if its content is wanted.
    private func create(
        _ entry: TarEntry, _ path: LayerPath, _ name: String, in parent: SharedDirectory, hidesLower: Bool
    ) throws -> Bool {
        switch entry.kind {
        case .regular:
            current = (entry, parent, name, SharedFile(try parent.handle.createFile(name)))
            return entry.size > 0
        case .directory:
            try createDirectory(entry, path, name, in: parent, hidesLower: hidesLower)
        case .symbolicLink:
            try parent.handle.makeSymbolicLink(name, to: entry.linkTarget)
            try parent.handle.setOwner(of: name, owner: entry.owner, group: entry.group)
            try parent.handle.setTime(of: name, entry.modified)
            // A link can lead a cached path elsewhere.
            cache = nil
        case .hardLink: try link(entry, path, name, in: parent)
        case .characterDevice, .blockDevice, .fifo: try createNode(entry, name, in: parent)
        case .unknown: break
        }
        return false
    }

    private func createDirectory(
        _ entry: TarEntry, _ path: LayerPath, _ name: String, in parent: SharedDirectory, hidesLower: Bool
    ) throws {
        do {
            try parent.handle.makeDirectory(name)
        } catch {
            guard error.isExisting, try parent.handle.status(of: name)?.kind == .directory else { throw error }
        }
        let directory = SharedDirectory(try parent.handle.openDirectory(name))
        try describeDirectory(directory, entry)
        if hidesLower { try makeOpaque(directory) }
        implied.remove(path.text)
        directoryTimes[path.text] = entry.modified
        cache = (path.text, directory)
    }

    private func createNode(_ entry: TarEntry, _ name: String, in parent: SharedDirectory) throws {
        let kind: FileStatus.Kind =
            switch entry.kind {
            case .characterDevice: .characterDevice
            case .blockDevice: .blockDevice
            default: .fifo
            }
        // overlayfs would take a device 0/0 for a whiteout, and no program can use one.
        if kind == .characterDevice, entry.major == 0, entry.minor == 0 { return }
        try parent.handle.makeNode(
            name, kind: kind, permissions: entry.permissions, major: entry.major, minor: entry.minor)
        try parent.handle.setOwner(of: name, owner: entry.owner, group: entry.group)
        try parent.handle.setPermissions(of: name, entry.permissions)
        try parent.handle.setTime(of: name, entry.modified)
    }

    private func link(_ entry: TarEntry, _ path: LayerPath, _ name: String, in parent: SharedDirectory) throws {
        let target = try LayerPath(entry.linkTarget)
        guard let targetName = target.name else {
            throw ImageError(.malformed, "", "\"\(entry.path)\" is a hard link to the root")
        }
        do {
            let source = try root.handle.openDirectory(inRoot: target.parent)
            try parent.handle.makeHardLink(name, to: targetName, in: source)
        } catch {
            if error.isDenied {
                throw ImageError(
                    .malformed, "", "\"\(entry.path)\" is a hard link to \"\(entry.linkTarget)\", a directory")
            }
            guard error.isMissing else { throw error }
            leftovers.links.append((path, target))
        }
    }

    /// Takes away what is where the member is to be; true if that hid a directory of the layers below.
    private func clear(
        _ entry: TarEntry, _ path: LayerPath, _ name: String, in parent: SharedDirectory,
        onReplace: (String) throws -> Void
    ) throws -> Bool {
        guard let old = try parent.handle.status(of: name) else { return false }
        if old.kind == .directory, entry.kind == .directory { return false }
        cache = nil
        if old.kind == .regular {
            try parent.handle.rename(name, to: String(replacedCount), in: replaced.handle)
            replacedCount += 1
            try onReplace(path.text)
        } else {
            try parent.handle.removeTree(name)
        }
        return old.isOverlayWhiteout
    }
}

// MARK: - Whiteouts

extension LayerExtractor {
    private func whiteOut(_ path: LayerPath, _ name: String) throws {
        if name == ".wh..wh..opq" {
            try makeOpaque(try directory(path.parent))
            return
        }
        // AUFS kept its own files under such names; they mean nothing elsewhere.
        if name.hasPrefix(".wh..wh.") { return }
        let hidden = String(name.dropFirst(4))
        guard !hidden.isEmpty, hidden != ".", hidden != ".." else {
            throw ImageError(.malformed, "", "the whiteout \"\(path.text)\" names nothing")
        }
        let parent = try directory(path.parent)
        switch try parent.handle.status(of: hidden)?.kind {
        case nil: try parent.handle.makeNode(hidden, kind: .characterDevice, permissions: 0)
        // image-spec: a whiteout hides only what lower layers have, so this layer's directory stays, without theirs.
        case .directory: try makeOpaque(SharedDirectory(try parent.handle.openDirectory(hidden)))
        default: break
        }
    }

    private func makeOpaque(_ directory: SharedDirectory) throws {
        try directory.handle.descriptor.setAttribute(
            "trusted.overlay.opaque", [UInt8(ascii: "y")], directory.handle.path)
    }
}
