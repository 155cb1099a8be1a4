// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import Launcher

@Suite struct RootTreeTests {
    @Test func linksLeadNowhereOutside() throws {
        let fixture = try Fixture()
        let root = fixture.path("root")
        try Files.makeDirectory(root)
        try Files.makeDirectory(fixture.path("secret"))
        try Files.makeLink("\(root)/absolute", to: fixture.path("secret"))
        try Files.makeLink("\(root)/relative", to: "../../../../..\(fixture.path("secret"))")
        let tree = try RootTree(path: root)
        for name in ["absolute", "relative"] {
            _ = try tree.open("\(name)/made", missing: .makeDirectory)
            #expect(try Files.names(in: fixture.path("secret")).isEmpty)
            #expect(Files.exists("\(root)\(fixture.path("secret"))/made"))
        }
    }

    @Test func makesFilesAndParentsThroughLinksInside() throws {
        let fixture = try Fixture()
        try Files.makeLink(fixture.path("run"), to: "/var/run")
        let tree = try RootTree(path: fixture.directory)
        _ = try tree.open("/run/a/b", missing: .makeFile)
        #expect(try Files.status(fixture.path("var/run/a/b"))?.kind == .regular)
    }

    @Test func endlessLinksAreRefused() throws {
        let fixture = try Fixture()
        try Files.makeLink(fixture.path("a"), to: "b")
        try Files.makeLink(fixture.path("b"), to: "a")
        let tree = try RootTree(path: fixture.directory)
        let error = #expect(throws: SystemError.self) { _ = try tree.open("a/x", missing: .makeDirectory) }
        #expect(error?.errno == Errno.ELOOP)
    }

    @Test func aLinkInPlaceOfProcIsRefused() throws {
        let fixture = try Fixture()
        try Files.makeDirectory(fixture.path("elsewhere"))
        try Files.makeLink(fixture.path("proc"), to: "elsewhere")
        let tree = try RootTree(path: fixture.directory)
        #expect(throws: SystemError.self) { _ = try tree.open("/proc", missing: .makeDirectory, followsLinks: false) }
    }
}
