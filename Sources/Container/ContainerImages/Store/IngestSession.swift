// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Synchronization

/// A pull's or import's place in the store: its temporary directory and its lease on what it relies on.
///
/// The session lives as long as this object (the flock of its `lock` file does); ``close()`` removes it, otherwise the
/// next garbage collection of any process does.
final class IngestSession: Sendable {
    let store: ImageStore
    let name: String
    let directory: SharedDirectory
    private let lock: SharedFile
    private let lease = Mutex<[String]>([])

    init(store: ImageStore) throws {
        self.store = store
        let name = try ImageStore.uniqueName()
        // Under the store's lock, because between the making of the directory and the flock it looks abandoned.
        (directory, lock) = try store.withLock {
            try store.ingest.handle.makeDirectory(name, permissions: 0o700)
            let directory = SharedDirectory(try store.ingest.handle.openDirectory(name))
            let lock = SharedFile(try directory.handle.openOrCreateFile("lock"))
            try lock.descriptor.lock(exclusively: true, "ingest/\(name)/lock")
            return (directory, lock)
        }
        self.name = name
    }

    /// Keeps layers and blobs from being collected until the session ends, whether they are there yet or not.
    func protect(layers: [Digest] = [], blobs: [Digest] = []) throws {
        let lines = lease.withLock { lines in
            lines += layers.map { "layer \($0.hex)" } + blobs.map { "blob \($0.hex)" }
            return lines
        }
        try store.withLock {
            // Not synced: a lease means nothing once its owner is gone.
            let temporary = try ImageStore.uniqueName()
            let file = SharedFile(try directory.handle.createFile(temporary))
            try Array(lines.joined(separator: "\n").utf8).withUnsafeBytes { try file.descriptor.write($0, "lease") }
            try directory.handle.rename(temporary, to: "lease", in: directory.handle)
        }
    }

    /// Makes an empty directory for one layer.
    func makeLayerDirectory() throws -> (name: String, directory: SharedDirectory) {
        let name = "layer-\(try ImageStore.uniqueName())"
        try directory.handle.makeDirectory(name, permissions: 0o700)
        return (name, SharedDirectory(try directory.handle.openDirectory(name)))
    }

    /// Makes an empty temporary file.
    func makeFile() throws -> SharedFile {
        let name = "file-\(try ImageStore.uniqueName())"
        let file = SharedFile(try directory.handle.createFile(name))
        // Without a name it goes away with its last descriptor.
        try directory.handle.removeFile(name)
        return file
    }

    /// Throws away one layer's directory.
    func discardLayer(_ name: String) {
        // What cannot be removed now is collected later.
        try? directory.handle.removeTree(name)
    }

    /// Ends the lease and removes the temporary directory.
    func close() {
        // What cannot be removed now is collected later, as after a crash.
        try? store.ingest.handle.removeTree(name)
    }
}
