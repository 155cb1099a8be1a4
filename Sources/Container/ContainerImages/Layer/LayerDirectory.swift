// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// The parts of a layer's directory on disk.
enum LayerDirectory {
    /// The unpacked files, an overlayfs lower directory.
    static let files = "fs"
    /// Files that a later member of the same layer replaced; only an export needs them.
    static let replaced = "replaced"
    /// How to make the layer's tar again, see ``TarSplitWriter``.
    static let split = "tar-split"
    /// What the layer is, see ``LayerRecord``.
    static let record = "layer.json"
}

/// A directory handle that several owners share.
final class SharedDirectory: Sendable {
    let handle: DirectoryHandle
    init(_ handle: consuming DirectoryHandle) { self.handle = handle }
}

/// An open file that several owners share.
final class SharedFile: Sendable {
    let descriptor: FileDescriptor
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
}

/// A member's path in normal form: components without `.`, empty ones or a leading slash.
struct LayerPath: Hashable, Sendable {
    let components: [String]

    /// Parses a path of the archive; one with `..` is refused, because no honest archive has it.
    init(_ text: String) throws {
        let parts = text.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else {
            throw ImageError(.malformed, "", "the tar member \"\(text)\" points out of the layer")
        }
        guard text.utf8.count <= 4096, !text.utf8.contains(0) else {
            throw ImageError(.malformed, "", "a tar member has a path of \(text.utf8.count) bytes")
        }
        components = parts.map(String.init)
    }

    var text: String { components.joined(separator: "/") }
    var parent: String { components.dropLast().joined(separator: "/") }
    /// The last component; nil for the root itself.
    var name: String? { components.last }
}
