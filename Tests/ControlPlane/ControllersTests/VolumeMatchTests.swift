// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Controllers

@Suite struct VolumeMatchTests {
    private func volume(_ name: String, size: String, className: String = "manual", claim: String? = nil) -> KubeObject
    {
        var volume = KubeObject(.init("", "v1", "PersistentVolume"), name: name)
        volume.spec = [
            "capacity": ["storage": .string(size)], "accessModes": ["ReadWriteOnce"],
            "storageClassName": .string(className), "volumeMode": "Filesystem",
        ]
        volume.status = ["phase": "Available"]
        if let claim { volume.json["spec", "claimRef"] = ["namespace": "default", "name": .string(claim)] }
        return volume
    }

    private func claim(size: String, mode: String = "ReadWriteOnce") -> KubeObject {
        var claim = KubeObject(.init("", "v1", "PersistentVolumeClaim"), namespace: "default", name: "data")
        claim.spec = [
            "resources": ["requests": ["storage": .string(size)]], "accessModes": [.string(mode)],
            "storageClassName": "manual", "volumeMode": "Filesystem",
        ]
        return claim
    }

    @Test func takesTheSmallestVolumeThatIsLargeEnough() {
        let volumes = [volume("big", size: "100Gi"), volume("small", size: "1Gi"), volume("fits", size: "20Gi")]
        #expect(VolumeMatch.best(for: claim(size: "20Gi"), among: volumes)?.name == "fits")
        #expect(VolumeMatch.best(for: claim(size: "200Gi"), among: volumes) == nil)
    }

    @Test func prefersAVolumeThatIsReservedForTheClaim() {
        let volumes = [volume("small", size: "20Gi"), volume("reserved", size: "100Gi", claim: "data")]
        #expect(VolumeMatch.best(for: claim(size: "20Gi"), among: volumes)?.name == "reserved")
    }

    @Test func leavesOthersVolumesAlone() {
        #expect(VolumeMatch.best(for: claim(size: "1Gi"), among: [volume("a", size: "1Gi", claim: "other")]) == nil)
        #expect(VolumeMatch.best(for: claim(size: "1Gi"), among: [volume("a", size: "1Gi", className: "")]) == nil)
        #expect(
            VolumeMatch.best(for: claim(size: "1Gi", mode: "ReadWriteMany"), among: [volume("a", size: "1Gi")]) == nil)
    }
}
