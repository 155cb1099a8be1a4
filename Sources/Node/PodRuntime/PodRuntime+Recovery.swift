// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import JSON
import LinuxSystem
import Logging
import Synchronization

/// Taking over what an earlier run of the agent left.
extension PodRuntime {
    /// Reads the records of containers and sandboxes, finds out which containers still run, and removes what is
    /// damaged. Containers that ended while nobody looked have their exit taken from their monitor's record. One of which the
    /// earlier run did not come to write that it runs is ended: whoever wants it will start another.
    package func recover() async throws {
        let sandboxes = try await blocking { try self.loadSandboxes() }
        state.withLock { $0.sandboxes = sandboxes }
        let names = try await blocking { try Files.names(in: "\(self.configuration.runDirectory)/containers") }
        for id in names {
            guard let record = await readRecord(id) else {
                logger.notice("Removing what is left of a container", metadata: ["container-id": "\(id)"])
                await discard(id)
                continue
            }
            state.withLock { $0.records[id] = record }
            if record.exit != nil { continue }
            try await adopt(record)
            if record.startedAt > 0 { continue }
            logger(of: record).notice("Removing a container of whose start nothing is known")
            await removeContainer(id)
        }
        for id in try await images.rootFileSystems() where record(id) == nil { await discard(id) }
    }

    private func readRecord(_ id: String) async -> ContainerRecord? {
        let path = recordFile(id)
        // A file that is cut short is no record.
        guard let bytes = try? await blocking({ try Files.read(path) }), let json = try? JSON.parse(bytes) else {
            return nil
        }
        return ContainerRecord(json: json)
    }
}
