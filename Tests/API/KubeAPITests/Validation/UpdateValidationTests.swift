// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

private func errors(
    _ kind: String, _ path: String, from old: JSON?, to new: JSON?, subresource: String? = nil
) throws -> [String] {
    let before = try ValidationFixture.object(kind, [(path, old)])
    let after = try ValidationFixture.object(kind, [(path, new)])
    return try ObjectRules.validateUpdate(
        new: after, old: before, kind: #require(ValidationFixture.kinds[kind]), subresource: subresource
    ).map(\.description)
}

struct UpdateValidationTests {
    @Test(arguments: ValidationFixture.kinds.keys.sorted())
    func nothingChangedIsValid(kind: String) throws {
        #expect(try errors(kind, "metadata.annotations", from: ["a": "b"], to: ["a": "c"]) == [])
    }

    @Test func podsMayChangeOnlyAFewFields() throws {
        let forbidden = try errors("Pod", "spec.nodeSelector", from: nil, to: ["a": "b"])
        #expect(forbidden.count == 1)
        #expect(
            forbidden.first?.hasPrefix(
                "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
                    + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions "
                    + "to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it "
                    + "was previously negative)\n") == true)
        #expect(try errors("Pod", "spec.activeDeadlineSeconds", from: nil, to: 5) == [])
        #expect(
            try errors("Pod", "spec.activeDeadlineSeconds", from: 5, to: 6) == [
                "spec.activeDeadlineSeconds: Invalid value: 6: must be less than or equal to previous value"
            ])
        #expect(
            try errors("Pod", "spec.activeDeadlineSeconds", from: 5, to: nil) == [
                "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value"
            ])
        let first: JSON = ["key": "a", "operator": "Exists"]
        #expect(try errors("Pod", "spec.tolerations", from: [first], to: [first, ["operator": "Exists"]]) == [])
        #expect(
            try errors("Pod", "spec.tolerations", from: [first], to: []) == [
                "spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"
            ])
        #expect(
            try errors(
                "Pod", "spec.containers", from: [["name": "a", "image": "a:1"]],
                to: [["name": "a", "image": "a:1"], ["name": "b", "image": "b:1"]]) == [
                    "spec.containers: Forbidden: pod updates may not add or remove containers"
                ])
    }

    @Test func imagesOfPodsMayChange() throws {
        #expect(try errors("Pod", "spec.containers.0.image", from: "a:1", to: "a:2") == [])
    }

    @Test func selectorsAreImmutable() throws {
        let change = { (kind: String) in
            let after = try ValidationFixture.object(
                kind,
                [
                    ("spec.selector.matchLabels", ["app": "b"]), ("spec.template.metadata.labels", ["app": "b"]),
                ])
            return try ObjectRules.validateUpdate(
                new: after, old: ValidationFixture.object(kind), kind: #require(ValidationFixture.kinds[kind])
            ).map(\.description)
        }
        let error = "spec.selector: Invalid value: {\"matchLabels\":{\"app\":\"b\"}}: field is immutable"
        #expect(try change("Deployment") == [error])
        #expect(try change("DaemonSet") == [error])
        #expect(
            try change("StatefulSet") == [
                "spec: Forbidden: updates to statefulset spec for fields other than 'replicas', 'ordinals', "
                    + "'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' "
                    + "and 'minReadySeconds' are forbidden"
            ])
    }

    @Test func servicesKeepTheirAddress() throws {
        #expect(
            try errors("Service", "spec.clusterIP", from: "10.0.0.1", to: "10.0.0.2") == [
                "spec.clusterIPs[0]: Invalid value: \"10.0.0.2\": may not change once set"
            ])
        #expect(try errors("Service", "spec.clusterIP", from: nil, to: "10.0.0.2") == [])
    }

    @Test func claimsKeepTheirSpec() throws {
        let changed = try errors("PersistentVolumeClaim", "spec.storageClassName", from: "a", to: "b")
        #expect(changed.count == 1)
        #expect(
            changed.first?.hasPrefix("spec: Forbidden: spec is immutable after creation except resources.requests")
                == true)
        #expect(try errors("PersistentVolumeClaim", "spec.volumeName", from: nil, to: "v") == [])
        let size = "spec.resources.requests.storage"
        #expect(try errors("PersistentVolumeClaim", size, from: "1Gi", to: "2Gi").count == 1)
        #expect(try errors("PersistentVolumeClaim", size, from: "2Gi", to: "1Gi").count == 2)
        #expect(
            try errors("PersistentVolume", "spec.hostPath.path", from: "/a", to: "/b") == [
                "spec.persistentvolumesource: Forbidden: spec.persistentvolumesource is immutable after creation"
            ])
    }

    @Test func frozenDataStays() throws {
        for kind in ["ConfigMap", "Secret"] {
            let old = try ValidationFixture.object(kind, [("immutable", true)])
            let new = try ValidationFixture.object(kind, [("immutable", true), ("data.z", "eA==")])
            let gvk = try #require(ValidationFixture.kinds[kind])
            #expect(
                ObjectRules.validateUpdate(new: new, old: old, kind: gvk).map(\.description) == [
                    "data: Forbidden: field is immutable when `immutable` is set"
                ])
            #expect(try errors(kind, "immutable", from: true, to: nil).count == 1)
            #expect(try errors(kind, "immutable", from: nil, to: true) == [])
        }
        #expect(try errors("Secret", "type", from: "a", to: "b") == ["type: Invalid value: \"b\": field is immutable"])
    }

    @Test func roleReferencesStay() throws {
        let changed = try errors("RoleBinding", "roleRef.name", from: "a", to: "b")
        #expect(changed.count == 1)
        #expect(changed.first?.hasSuffix(": cannot change roleRef") == true)
    }

    @Test func metadataIsGuarded() throws {
        #expect(
            try errors("Pod", "metadata.uid", from: "a", to: "b") == [
                "metadata.uid: Invalid value: \"b\": field is immutable"
            ])
        #expect(
            try errors("Pod", "metadata.resourceVersion", from: "1", to: nil) == [
                "metadata.resourceVersion: Invalid value: \"\": must be specified for an update"
            ])
        let old = try ValidationFixture.object("Pod", [("metadata.deletionTimestamp", "2026-01-01T00:00:00Z")])
        let new = try ValidationFixture.object(
            "Pod",
            [("metadata.deletionTimestamp", "2026-01-01T00:00:00Z"), ("metadata.finalizers", ["example.com/a"])])
        #expect(
            ObjectRules.validateUpdate(new: new, old: old, kind: .init("", "v1", "Pod")).map(\.description) == [
                "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found "
                    + "new finalizers []string{\"example.com/a\"}"
            ])
    }

    @Test func aStatusUpdateLeavesTheSpecAlone() throws {
        #expect(try errors("Pod", "spec.nodeSelector", from: nil, to: ["a": "b"], subresource: "status") == [])
    }

    @Test func ephemeralContainersAreOnlyAdded() throws {
        let debug: JSON = ["name": "d", "image": "i:1"]
        let path = "spec.ephemeralContainers"
        #expect(try errors("Pod", path, from: nil, to: [debug], subresource: "ephemeralcontainers") == [])
        #expect(try errors("Pod", path, from: [debug], to: nil, subresource: "ephemeralcontainers").count == 1)
        let other: JSON = ["name": "d", "image": "i:2"]
        #expect(try errors("Pod", path, from: [debug], to: [other], subresource: "ephemeralcontainers").count == 1)
    }
}
