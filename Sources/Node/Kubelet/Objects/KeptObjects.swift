// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Logging
import PKI
import Synchronization

/// Copies on disk of what this node's pods need from the API to be started, for a reboot while the API is away:
/// ConfigMaps, Secrets and tokens. Readable for root only; written when something has changed, and gone with the pods.
final class KeptObjects: Sendable {
    private static let largest = 4 << 20

    private let directory: String
    private let logger: Logger
    /// The digest of what is on disk, by file name.
    private let written = Mutex<[String: [UInt8]]>([:])

    init(directory: String, logger: Logger) {
        self.directory = directory
        self.logger = logger
    }

    /// Names have any length and characters; a file's name must not.
    private func file(_ key: String) -> String { hexadecimal(SHA256.hash(Array(key.utf8))) }

    /// Keeps a document; one that is there already is not written again.
    func keep(_ key: String, _ document: JSON) {
        let bytes = document.serialized()
        let digest = SHA256.hash(bytes)
        let name = file(key)
        guard bytes.count <= Self.largest, written.withLock({ $0[name] }) != digest else { return }
        do {
            try Files.makeDirectories(directory, permissions: 0o700)
            let path = "\(directory)/\(name)"
            // After a start of the agent nothing is known to be there, and mostly it is.
            if try !Files.exists(path) || Files.read(path, limit: Self.largest) != bytes {
                // Not waited for: what a power cut takes away the API still has.
                try Files.replace(path, with: bytes, permissions: 0o600, durable: false)
            }
            written.withLock { $0[name] = digest }
        } catch {
            logger.warning(
                "An object that pods need could not be kept on disk",
                metadata: ["object": "\(key)", "error": "\(error)"])
        }
    }

    /// What was kept; nil where nothing (readable) was.
    func recall(_ key: String) -> JSON? {
        // A file that a power cut cut short is as good as none.
        guard let bytes = try? Files.read("\(directory)/\(file(key))", limit: Self.largest) else { return nil }
        return try? JSON.parse(bytes)
    }

    func forget(_ key: String) {
        let name = file(key)
        written.withLock { _ = $0.removeValue(forKey: name) }
        do {
            try Files.remove("\(directory)/\(name)")
        } catch {
            logger.warning(
                "A kept object could not be removed", metadata: ["object": "\(key)", "error": "\(error)"])
        }
    }
}
