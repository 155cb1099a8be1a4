// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import InMemoryLogging
import JSON
import KubeAPI
import Logging
import Synchronization
import Testing

@Suite struct EventLogTests {
    /// A pod's warnings are in the log with the pod's fields; a repetition is counted in the Event alone.
    @Test func warningsOfPodsAreLoggedOnce() async throws {
        let log = InMemoryLogHandler()
        let cluster = MemoryCluster()
        let recorder = EventRecorder(
            client: cluster, component: "kubelet", host: "n1", logger: Logger(label: "test") { _ in log },
            now: { "2026-05-01T10:00:00Z" })
        let pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "web")
        let node = KubeObject(.init("", "v1", "Node"), name: "n1")
        recorder.record(node, .warning, reason: "ClockNotSet", message: "told by whoever found it")
        recorder.record(pod, .normal, reason: "Pulled", message: "not of interest")
        for _ in 0..<3 {
            recorder.record(
                pod, .warning, reason: "BackOff", message: "Back-off restarting", fieldPath: "spec.containers{main}")
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await recorder.run() }
            while !cluster.state.withLock({ $0.objects.values.contains { $0.json["count"] == 3 } }) {
                try await Task.sleep(for: .milliseconds(2))
            }
            group.cancelAll()
        }
        #expect(log.entries.map(\.message) == ["Back-off restarting"])
        #expect(log.entries.map(\.level) == [.warning])
        #expect(
            log.entries.first?.metadata
                == [
                    "component": "kubelet", "namespace": "default", "pod": "web", "container": "main",
                    "reason": "BackOff",
                ])
    }
}
