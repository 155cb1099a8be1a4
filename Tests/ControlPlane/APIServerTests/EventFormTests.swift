// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import Testing

@testable import APIServer

/// Events as the parts of the agent write them, and as the API shows them.
@Suite struct EventFormTests {
    @Test("events of a series say what was being done, and both groups show them")
    func series() async throws {
        let test = try await TestRegistry()
        let recorder = EventRecorder(
            client: test.client, component: "default-scheduler", host: "n1", form: .series,
            logger: Logger(label: "test"), now: { "2026-05-01T10:00:00.000000Z" })
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
        pod.metadata["uid"] = "u1"
        let other = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "q")
        for _ in 0..<3 {
            recorder.record(
                pod, .warning, reason: "FailedScheduling", action: "Scheduling", message: "no", related: other)
        }
        let new = GroupVersionResource("events.k8s.io", "v1", "events")
        func only(_ resource: GroupVersionResource) async throws -> JSON? {
            let list = try await test.client.list(resource, namespace: "default", options: .init())
            #expect(list.items.count < 2)
            return list.items.first?.json
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await recorder.run() }
            while try await only(new)?["series"]?["count"] != 3 { try await Task.sleep(for: .milliseconds(2)) }
            group.cancelAll()
        }
        let event = try #require(try await only(new))
        #expect(event["reportingController"] == "default-scheduler")
        #expect(event["reportingInstance"] == "default-scheduler-n1")
        #expect(event["action"] == "Scheduling")
        #expect(event["note"] == "no")
        #expect(event["eventTime"] == "2026-05-01T10:00:00.000000Z")
        #expect(event["regarding"]?["uid"] == "u1")
        #expect(event["related"]?["name"] == "q")
        let core = try #require(try await only(.events))
        #expect(core["reportingComponent"] == "default-scheduler")
        #expect(core["involvedObject"]?["name"] == "p")
        #expect(core["message"] == "no")
        #expect(core["series"]?["count"] == 3)
    }
}
