// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Synchronization
import Testing

@testable import Kubelet
@testable import PodRuntime

/// What the runtime makes of failures, and of being stopped halfway, with real containers.
@Suite("A runtime with faults", .serialized, .enabled(if: NodeFixture.isPossible))
struct RuntimeFaultTests {
    private static let pod = PodIdentity(uid: "uid-p", name: "p", namespace: "default")

    private func withNode(
        _ tag: String, subnet: UInt8, _ body: (NodeFixture, PodRuntime) async throws -> Void
    ) async throws {
        let node = try await NodeFixture(tag, subnet: subnet)
        try await node.importImage()
        let runtime = try node.makeRuntime()
        do { try await body(node, runtime) } catch { Issue.record("\(error)") }
        try await node.tearDown(runtime)
    }

    /// Makes a container and does not start it.
    private func create(
        _ node: NodeFixture, _ runtime: PodRuntime, name: String = "c", attempt: Int = 0, _ command: [String]
    ) async throws -> ContainerRecord {
        let sandbox = try await runtime.createSandbox(SandboxSpec(pod: Self.pod, hostname: "p"))
        var spec = ContainerSpec(pod: Self.pod, name: name, attempt: attempt, image: "demo:1")
        spec.command = command
        let image = try #require(try await node.images.resolve("demo:1"))
        let id = try await runtime.createContainer(spec, image: image, in: sandbox)
        return try #require(runtime.record(id))
    }

    private func wait(_ condition: () throws -> Bool) async throws {
        while try !condition() { try await Task.sleep(for: .milliseconds(5)) }
    }

    @Test("a container whose start cannot be written down runs all the same, and is written down later")
    func unwrittenStart() async throws {
        try await withNode("write", subnet: 11) { node, runtime in
            let id = try await create(node, runtime, ["sleep", "1000"]).id
            let file = runtime.recordFile(id)
            try Files.remove(file)
            try Files.makeDirectories("\(file)/taken")
            let started = try await runtime.startContainer(id)
            #expect(started.startedAt > 0)
            #expect(runtime.record(id)?.exit == nil)
            #expect(runtime.state.withLock { $0.unwritten } == [id])
            try Files.removeTree(file)
            runtime.keep(id)
            #expect(runtime.state.withLock { $0.unwritten.isEmpty })
            let next = try node.makeRuntime()
            try await next.recover()
            #expect(next.record(id) == started)
        }
    }

    @Test("containers of which nobody knows that they run end before others are started")
    func unknownStarts() async throws {
        try await withNode("known", subnet: 12) { node, runtime in
            let created = try await create(node, runtime, name: "a", ["sleep", "1000"])
            let started = try await create(node, runtime, name: "b", ["sleep", "1000"])
            _ = try await runtime.startContainer(started.id)
            // As if the agent had died in between.
            try runtime.write(started)
            let processes = try [created, started].compactMap { try runtime.firstProcess(of: $0) }
            #expect(processes.count == 2)
            let next = try node.makeRuntime()
            try await next.recover()
            #expect(next.records(of: Self.pod.uid).isEmpty)
            for process in processes { #expect(!Files.exists("/proc/\(process)")) }
            #expect(try Files.names(in: "\(node.directory)/run/containers").isEmpty)
        }
    }

    @Test("a start that is cancelled leaves nothing")
    func cancelledStart() async throws {
        try await withNode("cancel", subnet: 17) { node, runtime in
            let record = try await create(node, runtime, ["sleep", "1000"])
            let process = try #require(try runtime.firstProcess(of: record))
            let start = Task {
                while !Task.isCancelled { await Task.yield() }
                return try await runtime.startContainer(record.id)
            }
            start.cancel()
            await #expect(throws: RuntimeError.self) { try await start.value }
            #expect(!Files.exists("/proc/\(process)"))
            #expect(try Files.names(in: "\(node.directory)/run/containers").isEmpty)
        }
    }

    @Test("the log of an instance goes with it, and one of an instance that never ran as well")
    func logsOfInstances() async throws {
        try await withNode("logs", subnet: 13) { node, runtime in
            let first = try await create(node, runtime, attempt: 1, ["echo", "one"])
            let second = try await create(node, runtime, attempt: 11, ["echo", "two"])
            for record in [first, second] { _ = try await runtime.startContainer(record.id) }
            try await wait { runtime.records(of: Self.pod.uid).allSatisfy { $0.exit != nil } }
            try Files.replace("\(first.logPath).1700000001000", with: [])
            await runtime.removeContainer(first.id)
            await #expect(throws: RuntimeError.self) {
                let third = try await create(node, runtime, attempt: 12, ["/none"])
                _ = try await runtime.startContainer(third.id)
            }
            #expect(try Files.names(in: Files.directory(of: first.logPath)) == ["11.log"])
            #expect(runtime.logTail(of: second, lines: 1, bytes: 100) == "two\n")
        }
    }

    @Test("a log that is missing is begun again, whatever is wrong with others")
    func missingLogs() async throws {
        try await withNode("rotate", subnet: 14) { node, runtime in
            let silent = try await create(node, runtime, name: "a", ["sleep", "1000"])
            let other = try await create(node, runtime, name: "b", ["sleep", "1000"])
            for record in [silent, other] {
                _ = try await runtime.startContainer(record.id)
                try Files.rename(record.logPath, to: "\(record.logPath).1")
            }
            try Files.remove("\(node.directory)/run/containers/\(silent.id)/control.sock")
            await runtime.tendLogs()
            #expect(Files.exists(other.logPath))
            #expect(!Files.exists(silent.logPath))
        }
    }

    @Test("commands that are no longer wanted end, whenever that is, and keep no thread")
    func cancelledCommands() async throws {
        try await withNode("exec", subnet: 15) { node, runtime in
            let record = try await create(node, runtime, ["sleep", "1000"])
            _ = try await runtime.startContainer(record.id)
            func processes() throws -> Int { try runtime.cgroups.processes(record.cgroupPath).count }
            for isRunning in [false, true] {
                await withTaskGroup(of: Void.self) { group in
                    // More than the pool has threads.
                    for _ in 0..<12 {
                        group.addTask { _ = try? await runtime.execute(record.id, command: ["sleep", "1000"]) }
                    }
                    if isRunning { try? await wait { try processes() > 1 } } else { await Task.yield() }
                    group.cancelAll()
                }
                #expect(try await runtime.execute(record.id, command: ["true"]).exitCode == 0)
                try await wait { try processes() == 1 }
            }
        }
    }

    @Test("groups of pods weigh what their pods request")
    func qualityGroups() async throws {
        try await withNode("weigh", subnet: 16) { node, runtime in
            let isUnified = runtime.cgroups.isUnified
            @Sendable func weight(_ group: String) throws -> String {
                let directory = runtime.cgroups.directory("/kubelet-test-weigh/kubepods/\(group)", controller: "cpu")
                return try Files.readText("\(directory ?? "")/\(isUnified ? "cpu.weight" : "cpu.shares")")
            }
            try await node.withKubelet(runtime) {
                try await node.createPod("b", ["resources": ["requests": ["cpu": "100m"]]])
                _ = try await node.cluster.wait(.pods, node.key("b")) { NodeFixture.isReady($0) }
                #expect(try weight("burstable") == (isUnified ? "4" : "102"))
                #expect(try weight("besteffort") == (isUnified ? "1" : "2"))
                try await node.cluster.delete(
                    .pods, namespace: "default", name: "b", options: DeleteOptions(gracePeriodSeconds: 1))
                _ = try await node.cluster.wait(.pods, node.key("b")) { $0 == nil }
                #expect(try weight("burstable") == (isUnified ? "1" : "2"))
                // A group without pods may be gone when the next one comes.
                try runtime.cgroups.remove("/kubelet-test-weigh/kubepods/besteffort")
                try await node.createPod("e", [:])
                _ = try await node.cluster.wait(.pods, node.key("e")) { NodeFixture.isReady($0) }
                #expect(try weight("besteffort") == (isUnified ? "1" : "2"))
            }
        }
    }
}
