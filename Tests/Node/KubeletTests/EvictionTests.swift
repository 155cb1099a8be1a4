// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Testing

@testable import Kubelet

@Suite("What runs out on a node, and who goes")
struct EvictionTests {
    private static func space(
        _ total: UInt64, _ available: UInt64, inodes: UInt64 = 1000, free: UInt64 = 900
    ) -> FileSystemSpace {
        FileSystemSpace(totalBytes: total, availableBytes: available, totalInodes: inodes, freeInodes: free)
    }

    private static func met(_ spaces: [(FileSystemSpace, isImages: Bool)]) -> [PressureSignal] {
        var observation = NodeObservation()
        for (space, isImages) in spaces {
            observation.add(
                space, bytes: isImages ? .imageBytes : .nodeBytes, inodes: isImages ? .imageInodes : .nodeInodes)
        }
        var pressure = NodePressure()
        return pressure.look(observation, now: 0).map(\.signal)
    }

    @Test("a disk is short of room below a tenth or a gibibyte, and below a twentieth of its inodes")
    func diskThresholds() {
        let (small, large): (UInt64, UInt64) = (4 << 30, 256 << 30)
        for (look, expected) in [
            (Self.space(small, 500 << 20), false), (Self.space(small, 400 << 20), true),
            (Self.space(large, 1 << 30), false), (Self.space(large, 1 << 29), true),
            (Self.space(large, 2 << 30, free: 50), false), (Self.space(large, 2 << 30, free: 49), true),
            // One that does not count inodes.
            (Self.space(large, 2 << 30, inodes: 0, free: 0), false),
        ] {
            #expect(Self.met([(look, false)]).isEmpty != expected, "\(look)")
        }
        #expect(Self.met([(Self.space(small, 500 << 20), true)]) == [.imageBytes])
        #expect(Self.met([(Self.space(small, 650 << 20), true)]).isEmpty)
    }

    @Test("memory and processes run out too, and memory is seen to first")
    func otherThresholds() {
        var observation = NodeObservation()
        observation.addMemory(meminfo: "MemTotal: 4194304 kB\nMemFree: 1 kB\nMemAvailable: 102399 kB\n")
        observation.addProcesses(loadavg: "0.00 0.01 0.05 2/950 12345", limit: 1000)
        observation.add(Self.space(1 << 30, 0), bytes: .nodeBytes, inodes: .nodeInodes)
        var pressure = NodePressure()
        let shortages = pressure.look(observation, now: 0)
        #expect(shortages.map(\.signal) == [.memory, .nodeBytes, .processes])
        #expect(shortages.first?.threshold == 100 << 20)
        #expect(pressure.conditions == [.memory, .disk, .processes])
        // A tenth, on a board with half a gibibyte.
        #expect(PressureSignal.memory.threshold(capacity: 1 << 29) == (1 << 29) / 10)
    }

    @Test("a condition outlasts its cause by five minutes")
    func transition() {
        var short = NodeObservation()
        short.add(Self.space(1 << 30, 0), bytes: .nodeBytes, inodes: .nodeInodes)
        var pressure = NodePressure()
        #expect(pressure.look(short, now: 1000).count == 1)
        #expect(pressure.look(NodeObservation(), now: 300_999).isEmpty)
        #expect(pressure.conditions == [.disk])
        #expect(pressure.look(NodeObservation(), now: 301_000).isEmpty)
        #expect(pressure.conditions.isEmpty)
    }

    private static func use(
        _ name: String, _ used: Int64?, request: String? = nil, priority: Int = 0
    ) -> PodUse {
        var container: JSON = ["name": "c", "image": "i"]
        if let request { container["resources"] = ["requests": ["memory": .string(request)]] }
        let spec: JSON = ["priority": JSON(priority), "containers": [container]]
        return PodUse(
            pod: MachineDriver.pod(spec, metadata: ["name": .string(name)]), used: used,
            containers: used.map { [.init(name: "c", used: $0)] } ?? [])
    }

    @Test("who uses more than requested goes first, then the less important, then the greedier; nobody critical")
    func ranking() {
        let mebibyte: Int64 = 1 << 20
        let uses = [
            Self.use("modest", 10 * mebibyte, request: "20Mi"),
            Self.use("important", 900 * mebibyte, request: "20Mi", priority: 1000),
            Self.use("greedy", 50 * mebibyte, request: "20Mi"), Self.use("greedier", 80 * mebibyte, request: "20Mi"),
            Self.use("critical", 2000 * mebibyte, priority: 2_000_000_000), Self.use("unknown", nil),
        ]
        #expect(
            EvictionRanking.ranked(uses, by: .memory).map(\.pod.name)
                == ["unknown", "greedier", "greedy", "important", "modest"])
        #expect(
            EvictionRanking.ranked(uses, by: .processes).map(\.pod.name)
                == ["unknown", "greedier", "greedy", "modest", "important"])
    }

    @Test("an evicted pod's message has upstream's words")
    func message() {
        let shortage = NodePressure.Shortage(signal: .memory, threshold: 100 << 20, available: 17348 << 10)
        #expect(
            EvictionRanking.message(shortage, Self.use("p", 188 << 10))
                == "The node was low on resource: memory. Threshold quantity: 100Mi, available: 17348Ki. "
                + "Container c was using 188Ki, request is 0, has larger consumption of memory. ")
        #expect(
            EvictionRanking.message(shortage, Self.use("p", 188 << 10, request: "1Mi"))
                == "The node was low on resource: memory. Threshold quantity: 100Mi, available: 17348Ki. ")
    }

    @Test("under memory pressure no pod without promises comes, under disk pressure none but critical ones")
    func admission() {
        let (besteffort, burstable) = (Self.use("b", 0).pod, Self.use("p", 0, request: "1Mi").pod)
        let critical = Self.use("c", 0, priority: 2_000_000_000).pod
        let memory: Set<PressureCondition> = [.memory]
        #expect(memory.refusal(of: besteffort)?.message == "The node had condition: [MemoryPressure]. ")
        #expect(memory.refusal(of: burstable) == nil)
        let tolerant = MachineDriver.pod([
            "containers": [["name": "c"]],
            "tolerations": [["key": "node.kubernetes.io/memory-pressure", "operator": "Exists"]],
        ])
        #expect(memory.refusal(of: tolerant) == nil)
        let both: Set<PressureCondition> = [.memory, .disk]
        #expect(
            both.refusal(of: burstable)
                == PodRefusal(reason: "Evicted", message: "The node had condition: [DiskPressure MemoryPressure]. "))
        #expect(both.refusal(of: critical) == nil)
        #expect(Set<PressureCondition>().refusal(of: besteffort) == nil)
    }

    @Test("a pod that the node refuses for its pressure is no target of a disruption")
    func rejected() {
        var machine = PodMachine(pod: MachineDriver.pod(PodMachineTests.one), startTime: 0)
        let now = Moment(wallSeconds: 0, uptimeMilliseconds: 0)
        let words = "The node had condition: [DiskPressure]. "
        _ = machine.reject(reason: EvictionWords.reason, message: words, now: now)
        let status = PodStatusWriter(hostAddresses: []).status(of: machine, previous: .null, now: now)
        #expect(status["reason"] == "Evicted")
        #expect(status["message"] == "Pod was rejected: The node had condition: [DiskPressure]. ")
        #expect(!(status["conditions"]?.elements ?? []).contains { $0["type"]?.string == "DisruptionTarget" })
    }
}
