// SPDX-License-Identifier: Apache-2.0

import OCISpec
import Testing

@testable import ContainerImages

struct ImageReferenceTests {
    static let hex = String(repeating: "0123456789abcdef", count: 4)

    @Test(
        arguments: [
            ("busybox", "docker.io/library/busybox:latest"),
            ("busybox:1.36", "docker.io/library/busybox:1.36"),
            ("team/app", "docker.io/team/app:latest"),
            ("docker.io/busybox", "docker.io/library/busybox:latest"),
            ("index.docker.io/library/busybox", "docker.io/library/busybox:latest"),
            ("localhost/app", "localhost/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
            ("127.0.0.1:5000/a/b/c", "127.0.0.1:5000/a/b/c:latest"),
            ("[::1]:5000/app", "[::1]:5000/app:latest"),
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("Registry/app", "Registry/app:latest"),
            ("a__b/c-_x", nil),
            ("a__b/c--d.e_f", "docker.io/a__b/c--d.e_f:latest"),
            ("busybox@sha256:\(hex)", "docker.io/library/busybox@sha256:\(hex)"),
            ("busybox:1@sha256:\(hex)", "docker.io/library/busybox:1@sha256:\(hex)"),
        ] as [(String, String?)])
    func `names are normalised as upstream does`(text: String, expected: String?) {
        let reference = try? ImageReference(parsing: text).withDefaultTag
        #expect(reference?.description == expected)
    }

    @Test(arguments: [
        ("", "invalid reference format"),
        (":tag", "invalid reference format"),
        ("busybox:", "invalid reference format"),
        ("busybox:-1", "invalid reference format"),
        ("busy box", "invalid reference format"),
        ("busybox@", "invalid reference format"),
        ("https://example.com/app", "invalid reference format"),
        ("app/", "invalid reference format"),
        ("-app", "invalid reference format"),
        ("a/../b", "invalid reference format"),
        ("BusyBox", "invalid reference format: repository name (library/BusyBox) must be lowercase"),
        ("example.com/Team/app", "invalid reference format: repository name (Team/app) must be lowercase"),
        (hex, "invalid repository name (\(hex)), cannot specify 64-byte hexadecimal strings"),
        ("busybox@sha256:\(hex)0", "invalid checksum digest length"),
        ("busybox@md5:\(hex)", "unsupported digest algorithm"),
        ("busybox@sha256:\(hex.uppercased())", "invalid checksum digest format"),
        (
            String(repeating: "a", count: 256),
            "repository name must not be more than 255 characters"
        ),
    ])
    func `bad names are refused in upstream's words`(text: String, reason: String) async {
        let error = await expectError(.invalidReference) { try ImageReference(parsing: text) }
        #expect(error?.reason == "couldn't parse image name \"\(text)\": \(reason)")
    }

    @Test func `familiar names leave the defaults out`() throws {
        #expect(try ImageReference(parsing: "docker.io/library/busybox:1").familiar == "busybox:1")
        #expect(try ImageReference(parsing: "docker.io/team/app").familiar == "team/app")
        #expect(try ImageReference(parsing: "quay.io/team/app:2").familiar == "quay.io/team/app:2")
    }
}

struct PlatformTests {
    private func entry(_ name: String) -> Descriptor {
        let parts = name.split(separator: "/").map(String.init)
        return Descriptor(
            mediaType: MediaType.ociManifest, digest: name, size: 1,
            platform: Platform(architecture: parts[1], os: parts[0], variant: parts.count > 2 ? parts[2] : nil))
    }

    @Test(
        arguments: [
            ("linux/arm64", ["linux/amd64", "linux/arm/v7", "linux/arm64/v8"], "linux/arm64/v8"),
            ("linux/arm64", ["linux/amd64", "linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
            ("linux/arm/v7", ["linux/arm64", "linux/arm/v5", "linux/arm/v6"], "linux/arm/v6"),
            ("linux/arm/v6", ["linux/arm/v7", "linux/arm64"], nil),
            ("linux/amd64", ["windows/amd64", "linux/amd64"], "linux/amd64"),
            ("linux/amd64", ["linux/386"], "linux/386"),
            ("linux/arm64", ["linux/amd64", "unknown/unknown"], nil),
            ("linux/aarch64", ["linux/arm64"], "linux/arm64"),
        ] as [(String, [String], String?)])
    func `the manifest that runs best is chosen`(platform: String, entries: [String], expected: String?) throws {
        let index = ImageIndex(manifests: entries.map(entry))
        let own = try #require(entry(platform).platform)
        #expect(index.bestManifest(for: own)?.digest == expected)
    }
}
