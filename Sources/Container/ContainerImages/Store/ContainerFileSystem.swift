// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// A container's root file system: the image's layers below a writable one.
package struct ContainerFileSystem: Hashable, Sendable {
    /// The mounted root, `<store>/containers/<id>/rootfs`.
    package let path: String
    /// The image that it was made from.
    package let image: Digest
}

/// What to mount(2): for callers that mount themselves.
package struct MountSpecification: Hashable, Sendable {
    package let type = "overlay"
    package let source = "overlay"
    package let target: String
    /// Options for mount(2), comma-separated; shorter than a page.
    package let options: String
}

extension ImageStore {
    private static let record = "container.json"
    /// mount(2) takes one page of options, with a zero at the end.
    static let maximumOptionsLength = 4095

    /// Makes and mounts a container's root file system.
    ///
    /// Doing it again for the same container and image mounts what is there (after a reboot the mount is gone, the
    /// writable layer is not).
    ///
    /// - Parameter containerID: letters, digits, `.`, `_` and `-`.
    package func prepareContainer(_ containerID: String, image: Image) throws(ImageError) -> ContainerFileSystem {
        let operation = "prepare the file system of container \(containerID)"
        try Self.check(containerID, operation)
        return try translating(operation) {
            try makeContainer(containerID, image)
            let target = "\(path)/containers/\(containerID)/rootfs"
            if try !Self.isMountPoint(target) {
                try mount(containerID, image.layers, at: target)
            }
            return ContainerFileSystem(path: target, image: image.id)
        }
    }

    /// Unmounts a container's root file system and removes its writable layer; one that does not exist is no error.
    package func removeContainer(_ containerID: String) throws(ImageError) {
        let operation = "remove the file system of container \(containerID)"
        try Self.check(containerID, operation)
        try translating(operation) {
            guard try containers.handle.status(of: containerID) != nil else { return }
            let target = "\(path)/containers/\(containerID)/rootfs"
            // Detached: a process that still has a file open must not keep the container.
            while try Self.isMountPoint(target) { try Mounting.unmount(target, detach: true) }
            try withLock {
                let trashName = "\(containerID).\(try Self.uniqueName())"
                try containers.handle.rename(containerID, to: trashName, in: trash.handle)
            }
            emptyTrash()
        }
    }

    /// The containers that have a file system here.
    package func containerIDs() throws(ImageError) -> [String] {
        try translating("list the containers' file systems") {
            try containers.handle.names().filter { !$0.hasPrefix(".") }.sorted()
        }
    }

    /// Bytes and inodes of a container's writable layer.
    package func containerUsage(_ containerID: String) throws(ImageError) -> DiskUsage {
        let operation = "measure the file system of container \(containerID)"
        try Self.check(containerID, operation)
        return try translating(operation) {
            let upper = try containers.handle.openDirectory(containerID).openDirectory("upper")
            return try DiskUsage(of: upper)
        }
    }

    private static func check(_ containerID: String, _ operation: String) throws(ImageError) {
        let isAllowed = { (byte: UInt8) in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
            default: false
            }
        }
        guard (1...128).contains(containerID.utf8.count), !containerID.hasPrefix("."),
            containerID.utf8.allSatisfy(isAllowed)
        else { throw ImageError(.malformed, operation, "\"\(containerID)\" is no usable container ID") }
    }
}

// MARK: - Making and mounting

extension ImageStore {
    /// Makes the directories, under a temporary name first so that a killed process leaves no half of them.
    private func makeContainer(_ containerID: String, _ image: Image) throws {
        try withLock {
            if try containers.handle.status(of: containerID) != nil {
                guard try containerRecord(containerID).image == image.id else {
                    throw ImageError(.inUse, "", "the container exists with another image")
                }
                return
            }
            for layer in image.layers where try !hasLayer(layer) {
                throw ImageError(
                    .notFound, "", "layer \(layer) of image \(image.reference) is missing",
                    remedy: "remove the image and pull it again")
            }
            let temporary = ".\(containerID).new"
            try containers.handle.removeTree(temporary)
            try containers.handle.makeDirectory(temporary, permissions: 0o700)
            let directory = SharedDirectory(try containers.handle.openDirectory(temporary))
            try makeUpper(in: directory, top: image.layers.last)
            let record: JSON = [
                "image": .string(image.id.description), "layers": JSON(image.layers.map(\.description)),
            ]
            let file = SharedFile(try directory.handle.createFile(Self.record))
            try record.serialized().withUnsafeBytes { try file.descriptor.write($0, Self.record) }
            try containers.handle.rename(temporary, to: containerID, in: containers.handle)
        }
    }

    /// The upper directory's owner and mode are those of the container's root directory.
    private func makeUpper(in directory: SharedDirectory, top: Digest?) throws {
        for name in ["upper", "work", "rootfs"] { try directory.handle.makeDirectory(name) }
        guard let top else { return }
        let files = try layers.handle.openDirectory(top.hex).openDirectory(LayerDirectory.files)
        let status = try files.descriptor.status(files.path)
        try directory.handle.setOwner(of: "upper", owner: status.owner, group: status.group)
        try directory.handle.setPermissions(of: "upper", status.permissions)
    }

    private func containerRecord(_ containerID: String) throws -> (image: Digest, layers: [Digest]) {
        let directory = try containers.handle.openDirectory(containerID)
        let file = SharedFile(try directory.openFile(Self.record))
        let json = try JSON.parse(try file.descriptor.bytes(limit: 1 << 20, Self.record))
        let layers = try json["layers"]?.elements.compactMap(\.string).map { try Digest($0) } ?? []
        return (try Digest(json["image"]?.string ?? ""), layers)
    }

    /// The layers that a container's mount relies on; none for one that was never completed.
    func layersOfContainer(_ containerID: String) throws -> [Digest] {
        if containerID.hasPrefix(".") { return [] }
        do {
            return try containerRecord(containerID).layers
        } catch {
            // A power cut leaves a file empty that was written shortly before it. Nothing is mounted then: its owner, who does
            // not know the container any more either, removes it.
            if try Self.isMountPoint("\(path)/containers/\(containerID)/rootfs") { throw error }
            return []
        }
    }

    private func mount(_ containerID: String, _ chain: [Digest], at target: String) throws {
        let direct = mountSpecification(containerID, chain, target: target) { "\(path)/layers/\($0.hex)/fs" }
        if direct.options.utf8.count <= Self.maximumOptionsLength {
            try Mounting.mount(direct.source, at: target, type: direct.type, data: direct.options)
            return
        }
        // Too many layers for their paths: the kernel finds them by our open descriptors just as well.
        let open = try chain.map { layer in
            SharedDirectory(try layers.handle.openDirectory(layer.hex).openDirectory(LayerDirectory.files))
        }
        let numbers = Dictionary(zip(chain, open.map { $0.handle.descriptor.rawValue })) { first, _ in first }
        let short = mountSpecification(containerID, chain, target: target) { "/proc/self/fd/\(numbers[$0] ?? -1)" }
        try withExtendedLifetime(open) {
            try Mounting.mount(short.source, at: target, type: short.type, data: short.options)
        }
    }

    /// The mount of a container's file system, with each layer's directory where `place` says.
    func mountSpecification(
        _ containerID: String, _ chain: [Digest], target: String, place: (Digest) -> String
    ) -> MountSpecification {
        let base = Self.escape("\(path)/containers/\(containerID)")
        var options = "lowerdir=\(chain.reversed().map { Self.escape(place($0)) }.joined(separator: ":"))"
        options += ",upperdir=\(base)/upper,workdir=\(base)/work"
        // Where a distribution has it on, a mount after a crash would be refused with ESTALE.
        if Files.exists("/sys/module/overlay/parameters/index") { options += ",index=off" }
        return MountSpecification(target: target, options: options)
    }
}

extension ImageStore {
    /// Whether a directory is the root of a mount: its device differs from its parent's.
    private static func isMountPoint(_ path: String) throws -> Bool {
        guard let own = try Files.status(path), let parent = try Files.status("\(path)/..") else { return false }
        return own.device != parent.device
    }

    /// overlayfs separates directories by colons and options by commas, and takes them literally after a backslash.
    private static func escape(_ path: String) -> String {
        guard path.contains(where: { "\\:,".contains($0) }) else { return path }
        return String(path.flatMap { "\\:,".contains($0) ? ["\\", $0] : [$0] })
    }
}

/// What a directory tree takes up.
package struct DiskUsage: Hashable, Sendable {
    package var bytes: UInt64 = 0
    package var inodes: UInt64 = 0

    package init() {}

    /// Adds up a tree; hard links count once. What is removed meanwhile does not count.
    init(of directory: borrowing DirectoryHandle) throws {
        var seen: Set<UInt64> = []
        try add(directory, &seen, depth: 0)
    }

    private mutating func add(
        _ directory: borrowing DirectoryHandle, _ seen: inout Set<UInt64>, depth: Int
    ) throws(SystemError) {
        for name in try directory.names() {
            guard let status = try directory.status(of: name) else { continue }
            if status.links > 1, status.kind != .directory, !seen.insert(status.inode).inserted { continue }
            bytes += status.allocatedBytes
            inodes += 1
            guard status.kind == .directory, depth < DirectoryHandle.maximumDepth else { continue }
            do {
                try add(try directory.openDirectory(name), &seen, depth: depth + 1)
            } catch {
                guard error.isMissing else { throw error }
            }
        }
    }
}
