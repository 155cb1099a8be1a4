// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Testing

@testable import Kubelet

@Suite("Volumes that may hold only so much")
struct VolumeLimitTests {
    private static func spec(_ limits: JSON = [:]) -> JSON {
        ["containers": [["name": "c", "image": "img:1", "resources": ["limits": limits]]]]
    }

    @Test("a volume in memory is no larger than what the pod may have, nor than the node")
    func memoryVolumes() {
        let limited = MachineDriver.pod(Self.spec(["memory": "64Mi"]))
        let free = MachineDriver.pod(Self.spec())
        func size(_ source: JSON, _ pod: Pod) -> Int64? {
            PodVolumes.memoryVolumeSize(source, of: pod, allocatable: 1 << 30)
        }
        #expect(size([:], free) == 1 << 30)
        #expect(size([:], limited) == 64 << 20)
        #expect(size(["sizeLimit": "10Mi"], limited) == 10 << 20)
        #expect(size(["sizeLimit": "100Mi"], limited) == 64 << 20)
    }

    @Test("volumes that hold too much are found")
    func excess() async throws {
        let path = "/tmp/kubelet-usage-\(Processes.current)"
        try Files.makeDirectories("\(path)/v/deep")
        try Files.replace("\(path)/v/deep/f", with: [UInt8](repeating: 1, count: 2 << 20), durable: false)
        func usage(_ limit: String) -> EmptyDirectoryUsage? {
            var spec = Self.spec()
            spec["volumes"] = [
                ["name": "m", "emptyDir": ["medium": "Memory", "sizeLimit": "1Ki"]], ["name": "n", "emptyDir": [:]],
                ["name": "v", "emptyDir": ["sizeLimit": .string(limit)]],
            ]
            return EmptyDirectoryUsage(MachineDriver.pod(spec)) { "\(path)/\($0)" }
        }
        #expect(try await usage("3Mi")?.excess() == nil)
        #expect(
            try await usage("1Mi")?.excess() == "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". ")
        #expect(EmptyDirectoryUsage(MachineDriver.pod(Self.spec())) { $0 } == nil)
        try Files.removeTree(path)
    }

    @Test("an evicted pod says why")
    func evicted() {
        var pod = MachineDriver(Self.spec())
        pod.prepare()
        pod.launch("c")
        pod.handle(.evicted(reason: EvictionWords.reason, message: "too much", grace: 1))
        #expect(pod.stops("c") == 1)
        pod.exit("c", 137)
        #expect(pod.status["phase"] == "Failed")
        #expect(pod.status["reason"] == "Evicted")
        #expect(pod.condition("DisruptionTarget")?["reason"] == "TerminationByKubelet")
    }
}
