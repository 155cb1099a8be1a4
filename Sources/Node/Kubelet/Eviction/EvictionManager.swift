// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import ControllerRuntime
import JSON
import KubeAPI
import LinuxSystem
import Logging
import NIOPosix
import PodRuntime

/// Keeps the node from running out of memory, disk and processes: it looks every ten seconds, frees what nobody uses, and ends
/// pods one by one when that is not enough (upstream: pkg/kubelet/eviction).
struct EvictionManager: Sendable {
    /// Upstream's evictionMonitoringPeriod.
    private static let interval = Duration.seconds(10)
    /// Seconds that an evicted pod has to be gone before the next look (upstream: podCleanupTimeout).
    private static let cleanupTimeout = 30

    let context: KubeletContext
    let director: PodDirector
    let collector: ImageCollector
    let reporter: NodeReporter
    /// What events about the node are about.
    let node: @Sendable () -> KubeObject

    /// Runs until the task is cancelled.
    func run() async throws {
        while true {
            try await Task.sleep(for: Self.interval)
            while await round() { try Task.checkCancellation() }
        }
    }

    /// Looks once and does what is needed; whether a pod had to go.
    private func round() async -> Bool {
        let before = context.pressure.conditions
        let shortages = await context.pressure.look()
        let now = context.pressure.conditions
        if now != before {
            let names = now.map(\.rawValue).sorted().joined(separator: " ")
            if now.isEmpty {
                context.logger.notice("The node has enough of everything again")
            } else {
                context.logger.warning("The node runs out of what its pods need", metadata: ["reason": "\(names)"])
            }
            await reporter.refresh()
        }
        guard let shortage = shortages.first else { return false }
        let resource = shortage.signal.resource
        context.recorder.record(
            node(), .warning, reason: "EvictionThresholdMet", message: "Attempting to reclaim \(resource)")
        if shortage.signal.condition == .disk {
            await reclaim()
            if await context.pressure.look().isEmpty { return false }
        }
        return await evictOne(shortage)
    }

    /// Frees what no running container uses: first what ended containers wrote, then images.
    private func reclaim() async {
        for record in context.runtime.allRecords() where record.exit != nil {
            do { try await context.images.removeRootFileSystem(containerID: record.id) } catch {
                context.logger.warning(
                    "What an ended container wrote could not be removed", metadata: ["error": "\(error)"])
            }
        }
        await collector.removeUnused()
    }

    private func evictOne(_ shortage: NodePressure.Shortage) async -> Bool {
        var uses: [PodUse] = []
        for worker in director.workers where !worker.isOver && !worker.isEnding {
            uses.append(await use(of: worker, shortage.signal))
        }
        guard let first = EvictionRanking.ranked(uses, by: shortage.signal).first,
            let worker = director.worker(uid: first.pod.uid)
        else {
            context.logger.debug("There is no pod that may be evicted")
            return false
        }
        let message = EvictionRanking.message(shortage, first)
        context.event(first.pod, isWarning: true, EvictionWords.reason, message)
        worker.mailbox.post(
            .evicted(reason: EvictionWords.reason, message: message, grace: EvictionWords.immediateGrace))
        // One that takes longer is seen to by its worker; only the cancellation throws.
        _ = try? await withTimeout(seconds: Self.cleanupTimeout) { await worker.waitUntilDown() }
        return true
    }

    // MARK: Measuring

    private func use(of worker: PodWorker, _ signal: PressureSignal) async -> PodUse {
        let pod = worker.pod
        let records = context.runtime.records(of: pod.uid).filter { $0.exit == nil }
        switch signal {
        case .memory:
            let containers = records.map { record in
                PodUse.ContainerUse(name: record.name, used: number(usage(record.cgroupPath).workingSet))
            }
            let whole = worker.sandbox.map { number(usage($0.cgroupPath).workingSet) }
            return PodUse(pod: pod, used: whole, containers: containers)
        case .processes:
            return PodUse(pod: pod, used: worker.sandbox.map { number(usage($0.cgroupPath).processes) })
        case .nodeBytes, .imageBytes, .nodeInodes, .imageInodes:
            return await diskUse(of: pod, records, countsInodes: signal.resource == PressureSignal.nodeInodes.resource)
        }
    }

    private func usage(_ path: String) -> CgroupUsage { context.runtime.cgroups.usage(path) }
    private func number(_ value: UInt64) -> Int64 { Int64(clamping: value) }

    private func diskUse(of pod: Pod, _ records: [ContainerRecord], countsInodes: Bool) async -> PodUse {
        var containers: [PodUse.ContainerUse] = []
        for record in records {
            // One that goes away just now uses nothing.
            let root = try? await context.images.rootFileSystemUsage(containerID: record.id)
            let logs = await tree(Files.directory(of: record.logPath))
            let bytes = number(root?.bytes ?? 0) + logs.bytes
            let inodes = number(root?.inodes ?? 0) + logs.inodes
            containers.append(.init(name: record.name, used: countsInodes ? inodes : bytes))
        }
        let places = context.volumes(of: pod, podAddresses: [])
        var volumes: (bytes: Int64, inodes: Int64) = (0, 0)
        for volume in pod.volumes where volume["emptyDir"].map({ $0["medium"]?.string != "Memory" }) == true {
            let found = await tree(places.emptyDirectoryPath(volume["name"]?.string ?? ""))
            volumes = (volumes.bytes + found.bytes, volumes.inodes + found.inodes)
        }
        let sum = containers.reduce(countsInodes ? volumes.inodes : volumes.bytes) { $0 + $1.used }
        return PodUse(pod: pod, used: sum, containers: containers)
    }

    private func tree(_ path: String) async -> (bytes: Int64, inodes: Int64) {
        // As above.
        (try? await NIOThreadPool.singleton.runIfActive { try EmptyDirectoryUsage.use(of: path, stopAt: .max) }) ?? (
            0, 0
        )
    }
}
