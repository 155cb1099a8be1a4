// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import LinuxSystem
import NIOPosix
import Synchronization

/// Looks at what the node has left, and keeps the conditions that follow.
final class PressureWatch: Sendable {
    private let directory: String
    private let images: ImageService
    private let clock: Clock
    private let state = Mutex(NodePressure())

    /// - Parameter directory: With pods' files.
    init(directory: String, images: ImageService, clock: Clock) {
        self.directory = directory
        self.images = images
        self.clock = clock
    }

    var conditions: Set<PressureCondition> { state.withLock { $0.conditions } }

    /// Looks anew; gives what runs out, the most urgent first.
    @discardableResult
    func look() async -> [NodePressure.Shortage] {
        let observation = await observe()
        let now = clock.now().uptimeMilliseconds
        return state.withLock { $0.look(observation, now: now) }
    }

    /// What cannot be looked at tells nothing.
    private func observe() async -> NodeObservation {
        let directory = directory
        var observation =
            (try? await NIOThreadPool.singleton.runIfActive { Self.observe(directory) }) ?? NodeObservation()
        if let space = try? await images.space() {
            observation.add(space, bytes: .imageBytes, inodes: .imageInodes)
        }
        return observation
    }

    private static func observe(_ directory: String) -> NodeObservation {
        var observation = NodeObservation()
        if let space = try? FileDescriptor.open(directory, [.read, .directory]).space(directory) {
            observation.add(space, bytes: .nodeBytes, inodes: .nodeInodes)
        }
        if let text = try? Files.readText("/proc/meminfo") { observation.addMemory(meminfo: text) }
        if let load = try? Files.readText("/proc/loadavg"), let ids = number("/proc/sys/kernel/pid_max"),
            let threads = number("/proc/sys/kernel/threads-max")
        {
            observation.addProcesses(loadavg: load, limit: min(ids, threads))
        }
        return observation
    }

    private static func number(_ path: String) -> UInt64? { (try? Files.readText(path)).flatMap { UInt64($0) } }
}

extension NodeObservation {
    /// Takes in a proc_meminfo(5).
    ///
    /// What is available the kernel says: upstream's difference between capacity and working set takes files that were read
    /// twice for memory that cannot be had, and most of a small board's memory holds such.
    mutating func addMemory(meminfo: String) {
        let (total, available) = (
            MachineFacts.memoryValue("MemTotal", meminfo), MachineFacts.memoryValue("MemAvailable", meminfo)
        )
        guard total > 0, available > 0 else { return }
        amounts[.memory] = Amount(available: UInt64(available), capacity: UInt64(total))
    }

    /// Takes in a proc_loadavg(5), whose fourth field counts processes and threads, all of which take numbers.
    mutating func addProcesses(loadavg: String, limit: UInt64) {
        let fields = loadavg.split(separator: " ")
        guard fields.count > 3, let count = fields[3].split(separator: "/").last.flatMap({ UInt64($0) }) else { return }
        amounts[.processes] = Amount(available: limit - min(limit, count), capacity: limit)
    }
}
