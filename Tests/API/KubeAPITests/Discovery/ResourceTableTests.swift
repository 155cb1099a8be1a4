// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import KubeAPI

struct ResourceTableTests {
    private let table = ResourceTable.builtIn

    @Test func groupsStandInUpstreamsOrder() {
        #expect(
            table.groups.map(\.name) == [
                "", "apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io",
                "authorization.k8s.io", "autoscaling", "batch", "certificates.k8s.io", "networking.k8s.io", "policy",
                "rbac.authorization.k8s.io", "storage.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io",
                "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io",
                "flowcontrol.apiserver.k8s.io", "resource.k8s.io",
            ])
        #expect(table.group("autoscaling")?.versions == ["v2", "v1"])
        #expect(table.group("autoscaling")?.preferred == .init("autoscaling", "v2"))
    }

    @Test func lookups() throws {
        let deployments = try #require(table[GroupVersionResource("apps", "v1", "deployments")])
        #expect(deployments.shortNames == ["deploy"])
        #expect(deployments.categories == ["all"])
        #expect(deployments.singular == "deployment")
        #expect(deployments.subresources.map(\.name) == ["scale", "status"])
        #expect(table[GroupVersionKind("apps", "v1", "Deployment")] == deployments)
        #expect(table[GroupVersionKind("apps", "v2", "Deployment")] == nil)
    }

    @Test func sharedStoresHaveOnePlace() throws {
        let events = try #require(table[GroupVersionResource("events.k8s.io", "v1", "events")])
        #expect(events.storage == .init("", "v1", "events"))
        #expect(table.aliases(of: events).map(\.resource) == [.init("", "v1", "events")])
        let old = try #require(table[GroupVersionResource("autoscaling", "v1", "horizontalpodautoscalers")])
        #expect(old.storageKind == .init("autoscaling", "v2", "HorizontalPodAutoscaler"))
    }

    @Test func scopeAndVerbs() throws {
        #expect(table[GroupVersionResource("", "v1", "nodes")]?.isNamespaced == false)
        #expect(table[GroupVersionResource("", "v1", "namespaces")]?.allows("deletecollection") == false)
        #expect(table[GroupVersionResource("authorization.k8s.io", "v1", "subjectaccessreviews")]?.isStored == false)
        #expect(table[GroupVersionResource("", "v1", "pods")]?.isStored == true)
    }
}
