// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import Foundation
import PKI
import Testing

@Suite struct KubeconfigTests {
    static func kubeconfig(_ identity: ClusterIdentity) -> Kubeconfig {
        Kubeconfig(server: "https://[::1]:16443", authorityPEM: identity.authorityPEM, user: identity.admin)
    }

    @Test func kubectlReadsIt() throws {
        let directory = try TemporaryDirectory()
        let identity = try ClusterIdentityTests.load(directory)
        let path = directory.path + "/etc/admin.kubeconfig"
        try Self.kubeconfig(identity).write(to: path)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = ["kubectl", "--kubeconfig", path, "config", "view", "--raw", "--minify", "-o", "json"]
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = try pipe.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        #expect(process.terminationStatus == 0)
        let text = String(decoding: output, as: UTF8.self)
        for expected in [
            #""current-context": "swiftlet""#, #""server": "https://[::1]:16443""#,
            Base64.encode(identity.authorityPEM), Base64.encode(identity.admin.certificatePEM),
            Base64.encode(identity.admin.keyPEM),
        ] {
            #expect(text.contains(expected), "\(expected)")
        }
    }

    @Test func theGroupMayReadItAndNothingIsWrittenTwice() throws {
        let directory = try TemporaryDirectory()
        let identity = try ClusterIdentityTests.load(directory)
        let groups = directory.path + "/group"
        try Data("root:x:0:\nswiftletx:x:7:\nswiftlet:x:4711:pi\n".utf8).write(to: URL(filePath: groups))
        let path = directory.path + "/admin.kubeconfig"
        let kubeconfig = Self.kubeconfig(identity)
        func attributes() throws -> [FileAttributeKey: Any] {
            try FileManager.default.attributesOfItem(atPath: path)
        }
        #expect(try kubeconfig.write(to: path, groupFile: groups))
        #expect(try attributes()[.posixPermissions] as? Int == 0o640)
        #expect(try attributes()[.groupOwnerAccountID] as? Int == 4711)
        #expect(try !kubeconfig.write(to: path, groupFile: groups))
        // Without the group nobody but root may read it.
        #expect(try kubeconfig.write(to: path, group: "nobody-here", groupFile: groups))
        #expect(try attributes()[.posixPermissions] as? Int == 0o600)
        var moved = kubeconfig
        moved.server = "https://127.0.0.1:1"
        #expect(try moved.write(to: path, group: "nobody-here", groupFile: groups))
        #expect(try String(contentsOfFile: path, encoding: .utf8) == moved.yaml)
    }

    @Test func oddNamesStayInsideTheirQuotes() throws {
        let directory = try TemporaryDirectory()
        var kubeconfig = try Self.kubeconfig(ClusterIdentityTests.load(directory))
        kubeconfig.clusterName = "a\"b\\c\nd"
        #expect(kubeconfig.yaml.contains(#"current-context: "a\"b\\c\x0ad""#))
    }
}
