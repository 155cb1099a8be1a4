// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import JSON
import KubeAPI
import KubeClient
import Logging
import Storage
import Synchronization
import Testing

@testable import APIServer

@Suite struct HousekeepingTests {
    private static let roles = GroupVersionResource("rbac.authorization.k8s.io", "v1", "clusterroles")

    /// A full disk ends nothing but this round.
    @Test func eventsThatCannotBeRemovedNowAreRemovedLater() async throws {
        let test = try await TestRegistry()
        let events = GroupVersionResource("", "v1", "events")
        var event = KubeObject(.init("", "v1", "Event"), namespace: "default", name: "old")
        event.json["involvedObject"] = ["kind": "Pod", "namespace": "default", "name": "p"]
        event.json["lastTimestamp"] = "2001-01-01T00:00:00Z"
        event.metadata["creationTimestamp"] = "2001-01-01T00:00:00Z"
        _ = try await test.client.create(events, object: event)
        // By the registry's clock it is an hour and more later.
        let later = Registry(
            storage: test.storage, settings: RegistrySettings(), clock: FixedClock(now: FixedClock().now + 4000),
            logger: Logger(label: "test"))
        let housekeeping = Housekeeping(registry: later, lists: ListCache(), logger: Logger(label: "test"))
        test.storage.state.withLock { $0.failure = .unavailable("the disk is full") }
        try await housekeeping.removeOldEvents()
        #expect(try await test.client.list(events, namespace: nil, options: .init()).items.count == 1)
        test.storage.state.withLock { $0.failure = nil }
        try await housekeeping.removeOldEvents()
        #expect(try await test.client.list(events, namespace: nil, options: .init()).items.isEmpty)
    }

    @Test(.timeLimit(.minutes(1))) func aRoleThatIsNotSelectedAnyMoreGivesItsRulesBack() async throws {
        try await ServedAPI.run { api in
            let label = "rbac.authorization.k8s.io/aggregate-to-edit"
            func untilEdit(_ hasRule: Bool) async throws {
                while true {
                    let edit = try await api.client.get(Self.roles, namespace: nil, name: "edit")
                    let rules = edit.json["rules"]?.elements ?? []
                    if rules.contains(where: { $0["apiGroups"] == ["example.org"] }) == hasRule { return }
                    try await Task.sleep(for: .milliseconds(5))
                }
            }
            var role = KubeObject(.init("rbac.authorization.k8s.io", "v1", "ClusterRole"), name: "extra")
            role.metadata["labels"] = [label: "true"]
            role.json["rules"] = [["apiGroups": ["example.org"], "resources": ["things"], "verbs": ["get"]]]
            var stored = try await api.client.create(Self.roles, object: role)
            try await untilEdit(true)
            stored.metadata["labels"] = nil
            _ = try await api.client.update(Self.roles, object: stored)
            try await untilEdit(false)
        }
    }
}
