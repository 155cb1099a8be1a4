// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem
package import OCISpec

/// The directory of container states, `--root`: one subdirectory for each container.
///
/// ```
/// ID/state.json   ContainerRecord, replaced atomically
/// ID/config.json  the configuration as it was at creation
/// ID/start.sock   while the container is created and not started: its first process waits there
/// ```
/// The directory lives in memory (/run), so nothing is synchronised to a disk.
package struct StateStore: Sendable {
    package let root: String

    package init(root: String) { self.root = root }

    package func directory(of id: String) -> String { "\(root)/\(id)" }
    package func startSocket(of id: String) -> String { "\(root)/\(id)/start.sock" }
    private func stateFile(of id: String) -> String { "\(root)/\(id)/state.json" }
    private func configFile(of id: String) -> String { "\(root)/\(id)/config.json" }

    /// Refuses names that are no single path component of `[A-Za-z0-9_+.-]`, runc's rule.
    package static func validate(id: String) throws(LauncherError) {
        let isLegal = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "+"), UInt8(ascii: "-"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isLegal, !id.isEmpty, id != ".", id != "..", id.utf8.count <= 255 else {
            throw LauncherError("invalid container ID \"\(id)\": expected letters, digits and _ + - .")
        }
    }

    /// Takes the name for a new container.
    package func reserve(_ id: String) throws(LauncherError) {
        try Self.validate(id: id)
        do {
            try Files.makeDirectories(root, permissions: 0o711)
            try Files.makeDirectory(directory(of: id), permissions: 0o711)
        } catch {
            if error.errno == Errno.EEXIST { throw LauncherError("container with id \"\(id)\" exists already") }
            throw LauncherError("creating the container's state directory", error)
        }
    }

    /// Writes the record.
    package func save(_ record: ContainerRecord) throws(LauncherError) {
        do {
            try Files.replace(
                stateFile(of: record.id), with: record.serialized(), permissions: 0o600, durable: false)
        } catch {
            throw LauncherError("saving the container's state", error)
        }
    }

    /// Keeps the configuration, as the bundle may change.
    package func saveConfig(_ bytes: [UInt8], of id: String) throws(LauncherError) {
        do {
            try Files.replace(configFile(of: id), with: bytes, permissions: 0o600, durable: false)
        } catch {
            throw LauncherError("saving the container's configuration", error)
        }
    }

    /// Reads the record; nil where there is no such container or where its creation died half-way.
    package func load(_ id: String) throws(LauncherError) -> ContainerRecord? {
        try Self.validate(id: id)
        do {
            return try ContainerRecord(parsing: try Files.read(stateFile(of: id)))
        } catch let error as SystemError where error.errno == Errno.ENOENT || error.errno == Errno.ENOTDIR {
            return nil
        } catch {
            throw LauncherError("reading the state of container \"\(id)\"", error)
        }
    }

    /// Reads the record of a container that has to exist.
    package func require(_ id: String) throws(LauncherError) -> ContainerRecord {
        guard let record = try load(id) else { throw LauncherError("container \"\(id)\" does not exist") }
        return record
    }

    /// Reads the configuration.
    package func loadConfig(of id: String) throws(LauncherError) -> RuntimeSpec {
        do {
            return try RuntimeSpec(parsing: try Files.read(configFile(of: id)))
        } catch {
            throw LauncherError("reading the configuration of container \"\(id)\"", error)
        }
    }

    /// The names of all containers, sorted.
    package func ids() throws(LauncherError) -> [String] {
        do {
            return try Files.names(in: root).sorted()
        } catch {
            if error.errno == Errno.ENOENT { return [] }
            throw LauncherError("listing containers", error)
        }
    }

    /// Whether the name is taken, even by a half-made container.
    package func exists(_ id: String) -> Bool { Files.exists(directory(of: id)) }

    /// Forgets a container.
    package func remove(_ id: String) throws(LauncherError) {
        do {
            try Files.removeTree(directory(of: id))
        } catch {
            throw LauncherError("removing the container's state directory", error)
        }
    }

    /// Where the container is in its life cycle.
    package func status(of record: ContainerRecord, cgroups: Cgroups?) throws(LauncherError) -> ContainerState.Status {
        do {
            guard let pid = record.pid else { return .creating }
            guard try Processes.startTime(of: pid) == record.startTime else { return .stopped }
            if Files.exists(startSocket(of: record.id)) { return .created }
            if let group = record.cgroup, try cgroups?.isFrozen(group) == true { return .paused }
            return .running
        } catch {
            throw LauncherError("examining container \"\(record.id)\"", error)
        }
    }

    /// What `state` prints and hooks get.
    package func state(of record: ContainerRecord, cgroups: Cgroups?) throws(LauncherError) -> ContainerState {
        let status = try status(of: record, cgroups: cgroups)
        return ContainerState(
            ociVersion: record.ociVersion, id: record.id, status: status,
            pid: status == .stopped ? nil : record.pid, bundle: record.bundle, annotations: record.annotations)
    }
}
