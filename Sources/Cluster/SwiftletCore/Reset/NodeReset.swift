// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import LinuxSystem
package import Logging
import PodRuntime
import SandboxNetwork
import SystemBus

/// Removes what a stopped node leaves: containers, mounts, the pod network, cgroups and, unless they are to be kept, its
/// files.
///
/// Every step is tried, whatever became of the others, but for the files, which go last. Doing it again is harmless: an
/// interrupted reset is repeated.
package struct NodeReset: Sendable {
    /// Rounds of killing: a monitor that started a process while it was looked for is found in the next.
    private static let killRounds = 50
    private static let pauseMilliseconds = 50
    /// Mounts can lie on each other; each round takes one layer away.
    private static let unmountRounds = 8

    let configuration: Configuration
    /// Whether the store, keys, images, volumes and logs stay, so that a later start brings the pods back.
    let keepsData: Bool
    let logger: Logger

    package init(_ configuration: Configuration, keepingData keepsData: Bool, logger: Logger) {
        // A node of another machine's cluster has its part of the network from there. A membership that cannot be read does
        // not keep anything from being removed: what the network made is known by its names and records.
        self.configuration = configuration.withMembership
        self.keepsData = keepsData
        self.logger = logger
    }

    /// Does it all.
    ///
    /// - Returns: what could not be removed, one sentence each; empty when nothing is left.
    /// - Throws: ``ConfigurationError`` when an agent runs with these directories: it would bring everything back.
    package func run() throws -> [String] {
        if let agent = try AgentLock.holder(runDirectory: configuration.directories.run) {
            throw ConfigurationError(
                field: "the agent",
                reason: "process \(agent.pid) is still running; stop it first: systemctl stop swiftlet")
        }
        var problems: [String] = []
        func attempt(_ what: String, _ step: () throws -> Void) {
            do {
                try step()
            } catch {
                problems.append("\(what): \(error)")
            }
        }
        attempt("ending containers") { try endProcesses() }
        attempt("removing the pod network") { try removeNetwork() }
        attempt("unmounting") { try unmountAll() }
        attempt("removing cgroups") { try removeCgroups() }
        attempt("taking back the time that shutdowns wait") { try ShutdownDelay.forgetTime() }
        // Files tell what there is to remove: while something is left they stay, for the next attempt.
        guard problems.isEmpty else { return problems }
        for path in paths { attempt("removing files") { try NodeFiles.remove(path) } }
        if !keepsData { attempt("removing links to logs") { try removeLogLinks() } }
        return problems
    }

    private var paths: [String] {
        let directories = configuration.directories
        if keepsData { return [directories.run] }
        return [
            directories.run, directories.state, "\(directories.logs)/pods", configuration.kubeconfigPath,
            Kubeconfig.unfinishedPath(of: configuration.kubeconfigPath),
        ] + StateReplacement.remains(of: directories.state)
    }

    // MARK: Steps

    private func endProcesses() throws {
        let cgroups = try Cgroups.current()
        for _ in 0..<Self.killRounds {
            var found = NodeProcesses.monitors(runDirectory: configuration.directories.run)
            for group in groups { found += try cgroups.processes(in: group) }
            if found.isEmpty { return }
            for process in found {
                do {
                    try Processes.kill(process, Signals.kill)
                } catch {
                    // It is gone already; what really stays is found in the next round.
                    continue
                }
            }
            Processes.sleep(milliseconds: Self.pauseMilliseconds)
        }
        throw ConfigurationError(
            field: configuration.kubelet.cgroupRoot, reason: "processes survive SIGKILL; they hang in the kernel")
    }

    /// The groups that pods are in, by either driver. In the root of all groups they are not told from what others have there:
    /// then there are none.
    private var groups: [String] {
        let root = configuration.kubelet.cgroupRoot
        return root.contains { $0 != "/" } ? [root, "/\(slice)"] : []
    }

    private var slice: String { PodScope.topSlice(root: configuration.kubelet.cgroupRoot) }

    private func removeNetwork() throws {
        let settings = try configuration.sandboxNetwork
        guard Files.exists(settings.runDirectory) else { return }
        try SandboxNetwork(settings, logger: logger).removeAll()
    }

    private func unmountAll() throws {
        // The kernel names mounts without symbolic links; where there is no directory there is no mount.
        func resolved(_ path: String) -> String { (try? Files.resolved(path)) ?? path }
        let state = resolved(configuration.directories.state)
        let run = resolved(configuration.directories.run)
        for _ in 0..<Self.unmountRounds {
            let mounts = NodeMounts(try MountInfo.current(), state: state, run: run)
            if mounts.own.isEmpty { return try refuse(mounts.foreign) }
            for mount in mounts.own {
                do {
                    try Mounting.unmount(mount, detach: true)
                } catch {
                    // It went with another one; what stays is found in the next round.
                    continue
                }
            }
        }
        throw ConfigurationError(
            field: "the agent's directories", reason: "mounts lie more than \(Self.unmountRounds) deep on each other")
    }

    /// What somebody mounted below the state directory is not removed with it.
    private func refuse(_ foreign: [MountInfo]) throws {
        guard !keepsData, let first = foreign.first else { return }
        throw ConfigurationError(
            field: first.mountPoint,
            reason: "\(first.source) is mounted there, which is not the node's doing; unmount it"
                + (foreign.count == 1 ? "" : ", and \(foreign.count - 1) others below the state directory"))
    }

    private func removeCgroups() throws {
        if !groups.isEmpty, ServiceManager.isReachable { try ServiceManager.stop(slice) }
        let cgroups = try Cgroups.current()
        for group in groups { try cgroups.remove(group) }
    }

    /// `containers` is shared with other runtimes: only what points to this node's logs goes.
    private func removeLogLinks() throws {
        let directory = "\(configuration.directories.logs)/containers"
        guard Files.exists(directory) else { return }
        let target = "\(configuration.directories.logs)/pods/"
        for name in try Files.names(in: directory) {
            let path = "\(directory)/\(name)"
            // What is no link is none of ours.
            if let link = try? Files.linkTarget(path), link.hasPrefix(target) { try Files.remove(path) }
        }
        // It stays if somebody else's logs are in it.
        if try Files.names(in: directory).isEmpty { try Files.removeDirectory(directory) }
    }
}
