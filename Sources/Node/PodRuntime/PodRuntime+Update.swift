// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Synchronization
import SystemBus

/// Changing the limits of what runs.
extension PodRuntime {
    /// Changes a running container's limits. Its record tells of them from when they are in force.
    package func updateContainer(_ id: String, to limits: ContainerLimits) async throws {
        guard let record = record(id), record.exit == nil, record.limits != limits else { return }
        let options = limits.updateOptions(from: record.limits)
        try await blocking {
            if let memory = limits.memory, memory < record.limits?.memory ?? .max {
                let used = self.cgroups.usage(record.cgroupPath).memory
                // The kernel would kill processes to make room (upstream: validateMemoryResizeAction).
                if used > UInt64(memory) {
                    throw RuntimeError(
                        .other, "",
                        "attempting to set container \"\(record.name)\" memory limit (\(memory)) below current usage "
                            + "(\(used))")
                }
            }
            try self.runLauncher(["update"] + options + [id], .other, "update container \(record.name)")
            self.state.withLock { $0.records[id]?.limits = limits }
            self.keep(id)
        }
        logger(of: record).info("A container's limits have changed")
    }

    /// Gives groups that pods lie in, such as `/kubepods/burstable`, their shares of the CPU beside others.
    ///
    /// - Parameter wanted: The shares by group (v1's, 2...262144). It is called when nobody else gives any, so that of several
    ///   callers the one that knows most has the last word.
    package func setGroupShares(_ wanted: @escaping @Sendable () -> [String: UInt64]) async throws {
        try await blocking {
            try self.groupShares.withLock { known in
                for (group, shares) in wanted() {
                    // systemd keeps what it was told. A group without pods somebody may have removed: it is made anew.
                    if self.configuration.cgroupDriver == .systemd, known[group] == shares { continue }
                    try self.setShares(shares, of: group)
                    known[group] = shares
                }
            }
        }
    }

    private func setShares(_ shares: UInt64, of group: String) throws {
        switch configuration.cgroupDriver {
        case .cgroupfs:
            try cgroups.makePodGroup(joined(configuration.cgroupRoot, group), PodLimits(cpuShares: shares))
        case .systemd:
            try ServiceManager.setCPUWeight(
                CgroupTree.weight(shares: shares), of: PodScope.slice(root: configuration.cgroupRoot, parent: group))
        }
    }

    /// Changes what a pod may use as a whole; nil if it has no sandbox.
    package func updateSandbox(of podUID: String, to limits: PodLimits) async throws -> Sandbox? {
        guard var sandbox = sandbox(of: podUID) else { return nil }
        if sandbox.limits == limits { return sandbox }
        sandbox.limits = limits
        let changed = sandbox
        try await blocking {
            if let scope = PodScope(path: changed.cgroupPath) {
                // Without a process there is no scope; the next one begins with the new limits.
                if try !self.cgroups.processes(changed.cgroupPath).isEmpty { try scope.limit(to: limits) }
            } else {
                try self.cgroups.limit(changed.cgroupPath, to: limits)
            }
            try self.write(changed)
        }
        state.withLock { $0.sandboxes[podUID] = changed }
        return changed
    }
}
