// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// The run directory: one folder per sandbox with its record and pins, the last address, and what was changed on the node.
struct RecordStore: ~Copyable, Sendable {
    private static let fileLimit = 64 << 10
    private static let recordName = "record.json"
    private static let lastName = ".last-address"
    private static let nodeName = ".node.json"

    private let directory: DirectoryHandle

    init(path: String) throws(SystemError) {
        directory = try DirectoryHandle.create(path: path, permissions: 0o711)
    }

    /// The folder of a sandbox.
    func path(of sandboxID: String) -> String { "\(directory.path)/\(sandboxID)" }

    /// All folders, with their records where these can be read.
    func load() throws(SystemError) -> [(sandboxID: String, record: SandboxRecord?)] {
        var result: [(String, SandboxRecord?)] = []
        for name in try directory.names() where !name.hasPrefix(".") {
            let bytes = try directory.openDirectory(name).readFile(Self.recordName, limit: Self.fileLimit)
            let record = bytes.flatMap { SandboxRecord($0) }
            result.append((name, record?.sandboxID == name ? record : nil))
        }
        return result
    }

    /// Writes a record, making the folder where it is missing.
    func write(_ record: SandboxRecord) throws(SystemError) {
        do {
            try directory.makeDirectory(record.sandboxID, permissions: 0o711)
        } catch  where error.isExisting {
            // Written again.
        }
        try directory.openDirectory(record.sandboxID)
            .replaceFile(Self.recordName, with: record.serialized(), permissions: 0o600, durability: .atomic)
    }

    func remove(_ sandboxID: String) throws(SystemError) { try directory.removeTree(sandboxID) }

    /// The address that was given last.
    func lastAddress() throws(SystemError) -> IPAddress? {
        try directory.readFile(Self.lastName, limit: 64).flatMap { IPAddress(String(decoding: $0, as: UTF8.self)) }
    }

    func setLastAddress(_ address: IPAddress) throws(SystemError) {
        try directory.replaceFile(
            Self.lastName, with: Array("\(address)".utf8), permissions: 0o600, durability: .atomic)
    }

    /// Kernel parameters that were changed, with their values before.
    func changedParameters() throws(SystemError) -> [String: String] {
        guard let bytes = try directory.readFile(Self.nodeName, limit: Self.fileLimit) else { return [:] }
        // A damaged file: nothing is known that could be undone.
        return (try? JSON.parse(bytes))?.stringMap ?? [:]
    }

    func setChangedParameters(_ parameters: [String: String]) throws(SystemError) {
        try directory.replaceFile(
            Self.nodeName, with: JSON(parameters).serialized(), permissions: 0o600, durability: .atomic)
    }

    /// Forgets everything.
    func removeAll() throws(SystemError) {
        for name in try directory.names() { try directory.removeTree(name) }
    }
}
