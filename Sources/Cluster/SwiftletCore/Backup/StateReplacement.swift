// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Puts a restored state in the place of the one that is there, which is kept.
///
/// Two directories change places in one step. A state directory that is a file system of its own cannot be renamed: there the
/// entries are moved one by one, with marks by which the next command or agent brings to its end what was broken off.
struct StateReplacement {
    /// Where the new state is put together: `new` in ``work`` where the state is a mount point.
    let unpacked: String
    /// Goes with everything in it when an attempt is given up or made again.
    let work: String
    /// The state directory without symbolic links.
    private let state: String
    private let isMountPoint: Bool

    private static let workName = ".restoring"
    /// The new state is whole, and what was there is being moved aside.
    private static let leavingName = ".restoring-old-leaves"
    /// What was there is aside, and the new state is being moved to its place.
    private static let comingName = ".restoring-new-comes"
    private static let asideInfix = ".before-restore-"

    /// - Parameter path: the state directory; it may be a link to one, or missing.
    /// - Throws: ``BackupError`` where it is a link to nothing: a disk that is not there.
    init(of path: String) throws {
        if try Files.status(path) != nil {
            state = try Files.resolved(path)
        } else if let target = try? Files.linkTarget(path) {
            throw BackupError("\(path) is a link to \(target), which is missing: mount what holds it, or make it")
        } else {
            state = path
        }
        isMountPoint = try NodeFiles.isMountPoint(state)
        work = isMountPoint ? "\(state)/\(Self.workName)" : "\(state)\(Self.workName)"
        unpacked = isMountPoint ? "\(work)/new" : work
    }

    /// What there is that would have to be moved aside: the names in the state directory; nil where there is none.
    func existing() throws -> [String]? {
        guard Files.exists(state) else { return nil }
        return try isMountPoint ? Self.entries(of: state) : Files.names(in: state)
    }

    /// The mounts below the state directory.
    func mounts() throws -> [MountInfo] { try MountInfo.current().filter { $0.mountPoint.hasPrefix("\(state)/") } }

    /// Beside a state directory: what restores that were broken off left, and the states that they moved aside.
    static func remains(of path: String) -> [String] {
        // One that is missing may have left something all the same; where its parent is missing, too, there is nothing.
        let state = (try? Files.resolved(path)) ?? path
        let parent = Files.directory(of: state)
        let name = state.dropFirst(parent == "/" ? 1 : parent.count + 1)
        let siblings = (try? Files.names(in: parent)) ?? []
        return siblings.filter { $0 == name + workName || $0.hasPrefix(name + asideInfix) }.map { "\(parent)/\($0)" }
    }

    // MARK: The exchange

    /// Puts ``unpacked`` in place.
    ///
    /// - Returns: where what was there is now; nil if there was nothing.
    func run() throws -> String? {
        let directory = try FileDescriptor.open(unpacked, [.read, .directory])
        try directory.setPermissions(0o711, unpacked)
        try directory.synchronizeFileSystem(unpacked)
        if isMountPoint {
            try Files.makeDirectory("\(work)/old", permissions: 0o711)
            try Files.rename(work, to: "\(state)/\(Self.leavingName)")
            return try Self.finish(in: state)
        }
        let aside = try exchange()
        try Self.synchronize(Files.directory(of: state))
        return aside
    }

    private func exchange() throws -> String? {
        guard Files.exists(state) else {
            try Files.rename(unpacked, to: state)
            return nil
        }
        // The new state has the name for the old one for a moment, until they change places: a crash in between costs nothing,
        // and neither is ever missing.
        let name = Self.nameAside("\(state)\(Self.asideInfix)")
        try Files.rename(unpacked, to: name)
        do {
            try Files.exchange(name, state)
        } catch {
            try Files.rename(name, to: unpacked)
            throw error
        }
        return name
    }

    /// Brings an exchange in a state directory to its end that was broken off; does nothing where there is none.
    ///
    /// - Returns: where what was there is now; nil if there was nothing.
    @discardableResult
    static func finish(in state: String) throws -> String? {
        let (leaving, coming) = ("\(state)/\(leavingName)", "\(state)/\(comingName)")
        if Files.exists(leaving) {
            try synchronize(state)
            for name in try entries(of: state) { try Files.rename("\(state)/\(name)", to: "\(leaving)/old/\(name)") }
            try synchronize("\(leaving)/old")
            try Files.rename(leaving, to: coming)
        }
        guard Files.exists(coming) else { return nil }
        try synchronize(state)
        for name in try Files.names(in: "\(coming)/new") {
            try Files.rename("\(coming)/new/\(name)", to: "\(state)/\(name)")
        }
        var aside: String?
        // An attempt that was broken off may have moved it away already.
        if let old = try namesIfAny(in: "\(coming)/old"), !old.isEmpty {
            let name = nameAside("\(state)/\(asideInfix)")
            try Files.rename("\(coming)/old", to: name)
            aside = name
        }
        try synchronize(state)
        try Files.removeTree(coming)
        return aside
    }

    private static func namesIfAny(in directory: String) throws -> [String]? {
        Files.exists(directory) ? try Files.names(in: directory) : nil
    }

    /// What of a file system's root directory is a node's state.
    private static func entries(of root: String) throws -> [String] {
        try Files.names(in: root).filter {
            $0 != NodeFiles.lostAndFound && !$0.hasPrefix(workName) && !$0.hasPrefix(asideInfix)
        }
    }

    /// A name that is free; an attempt that was broken off may have taken this second's.
    private static func nameAside(_ prefix: String) -> String {
        let base = "\(prefix)\(FileTime.now().seconds)"
        var name = base
        var number = 1
        while Files.exists(name) {
            number += 1
            name = "\(base)-\(number)"
        }
        return name
    }

    private static func synchronize(_ directory: String) throws {
        try FileDescriptor.open(directory, [.read, .directory]).synchronize(directory)
    }
}
