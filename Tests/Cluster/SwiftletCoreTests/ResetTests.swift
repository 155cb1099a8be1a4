// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SwiftletCore

@Suite struct ResetTests {
    private static func mount(_ point: String, type: String = "ext4") -> String {
        "40 1 8:1 / \(point) rw,relatime shared:1 - \(type) /dev/sda1 rw"
    }

    @Test func onlyWhatTheNodeMountedIsUnmounted() {
        let own = [
            "/srv/state/images/containers/c1/rootfs", "/srv/state/pods/u1/volumes/cache",
            "/srv/state/pods/u1/volumes/cache/deep", "/run/swiftlet/network/u1/net", "/run/swiftlet/pods/u1/shm",
        ]
        let foreign = ["/srv/state/images", "/srv/state/images/containers", "/srv/state/pods", "/srv/state/elsewhere"]
        let others = ["/", "/srv", "/srv/state", "/srv/state2/pods/x", "/run", "/run/swiftlet", "/run/swiftlet2/x"]
        let text = (others + foreign + own).map { Self.mount($0) }.joined(separator: "\n")
        let mounts = NodeMounts(MountInfo.parse(text), state: "/srv/state", run: "/run/swiftlet")
        #expect(Set(mounts.own) == Set(own) && mounts.own.count == own.count)
        #expect(mounts.foreign.map(\.mountPoint) == foreign)
        // What lies on another one goes before it.
        let cache = mounts.own.filter { $0.contains("/cache") }
        #expect(cache.first?.hasSuffix("deep") == true)
    }

    @Test func aDirectoryThatALinkLeadsToIsEmptiedWhereItIs() throws {
        let directory = try TemporaryDirectory()
        let (disk, state) = ("\(directory.path)/disk", "\(directory.path)/state")
        try Files.makeDirectories("\(disk)/store/deep")
        try Files.makeDirectories("\(disk)/\(NodeFiles.lostAndFound)")
        try Files.replace("\(disk)/file", with: [1])
        // What an attempt that was broken off left.
        try Files.makeDirectories("\(disk)/.removing/store")
        try Files.makeLink(state, to: "disk")
        for _ in 1...2 {
            try NodeFiles.remove(state)
            #expect(try Files.names(in: disk) == [NodeFiles.lostAndFound])
            #expect(try Files.linkTarget(state) == "disk")
        }
    }

    @Test func filesAndOrdinaryDirectoriesGoWithWhatABrokenResetLeft() throws {
        let directory = try TemporaryDirectory()
        try Files.makeDirectories("\(directory.path)/state/store")
        try Files.makeDirectories("\(directory.path)/state.removing/store")
        try Files.replace("\(directory.path)/file", with: [1])
        try Files.replace("\(directory.path)/file.removing", with: [1])
        for name in ["state", "file", "missing"] { try NodeFiles.remove("\(directory.path)/\(name)") }
        #expect(try Files.names(in: directory.path).isEmpty)
    }
}
