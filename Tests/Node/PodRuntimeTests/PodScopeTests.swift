// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import PodRuntime

@Suite("Pods' scopes of systemd")
struct PodScopeTests {
    static let uid = "0f3e-11aa"

    @Test("slices are nested by their names, and a dash in a name is none between levels")
    func paths() {
        #expect(
            PodScope.path(root: "/", parent: "/kubepods/burstable", uid: Self.uid)
                == "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod0f3e_11aa.scope")
        #expect(
            PodScope.path(root: "/swiftlet", parent: "/kubepods", uid: Self.uid)
                == "/swiftlet.slice/swiftlet-kubepods.slice/swiftlet-kubepods-pod0f3e_11aa.scope")
        #expect(
            PodScope.path(root: "/my-node/a", parent: "/kubepods/besteffort", uid: "u")
                == "/my_node.slice/my_node-a.slice/my_node-a-kubepods.slice/my_node-a-kubepods-besteffort.slice"
                + "/my_node-a-kubepods-besteffort-podu.scope")
    }

    @Test("a path tells unit and slice")
    func units() {
        let path = PodScope.path(root: "/swiftlet", parent: "/kubepods/burstable", uid: Self.uid)
        let scope = PodScope(path: path)
        #expect(scope?.name == "swiftlet-kubepods-burstable-pod0f3e_11aa.scope")
        #expect(scope?.slice == "swiftlet-kubepods-burstable.slice")
        #expect(PodScope(path: "/swiftlet/kubepods/podu") == nil)
        #expect(PodScope(path: "") == nil)
    }

    @Test("the slice of all pods is the root's")
    func topSlices() {
        #expect(PodScope.topSlice(root: "/swiftlet") == "swiftlet.slice")
        #expect(PodScope.topSlice(root: "/a-b/c") == "a_b.slice")
        #expect(PodScope.topSlice(root: "/") == "kubepods.slice")
        #expect(PodScope.slice(root: "/a-b", parent: "/kubepods/burstable") == "a_b-kubepods-burstable.slice")
    }

    @Test("a sandbox remembers its limits, for the scopes that are made later")
    func limits() {
        var sandbox = RuntimeSpecTests.sandbox()
        sandbox.limits = PodLimits(cpuShares: 512, cpuQuota: 20_000, memory: 1 << 30, processes: 100)
        #expect(Sandbox(json: sandbox.json, isUnified: false) == sandbox)
    }
}
