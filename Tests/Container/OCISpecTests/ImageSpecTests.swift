// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import OCISpec

@Suite struct ImageSpecTests {
    @Test func manifestSurvivesReadingAndWriting() throws {
        let text = #"""
            {"schemaVersion":2,"mediaType":"application/vnd.docker.distribution.manifest.v2+json","config":
            {"mediaType":"application/vnd.docker.container.image.v1+json","digest":"sha256:aa","size":7},
            "layers":[{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"sha256:bb",
            "size":123}]}
            """#.split(separator: "\n").joined()
        let manifest = try ImageManifest(parsing: Array(text.utf8))
        #expect(manifest.layers.map(\.size) == [123])
        #expect(MediaType.isManifest(manifest.mediaType ?? ""))
        #expect(String(decoding: manifest.serialized(), as: UTF8.self) == text)
    }

    @Test func indexKnowsItsPlatforms() throws {
        let text = #"""
            {"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json",
            "digest":"sha256:aa","size":7,"platform":{"architecture":"arm","os":"linux","os.version":"5",
            "os.features":["x"],"variant":"v7"}}]}
            """#.split(separator: "\n").joined()
        let index = try ImageIndex(parsing: Array(text.utf8))
        #expect(index.manifests.first?.platform?.variant == "v7")
        #expect(String(decoding: index.serialized(), as: UTF8.self) == text)
    }

    @Test func configTellsAnEmptyCommandFromAMissingOne() throws {
        let text = #"""
            {"created":"2026-01-01T00:00:00Z","architecture":"arm64","os":"linux","config":{"User":"1000:1000",
            "ExposedPorts":{"80/tcp":{}},"Env":["A=b"],"Entrypoint":[],"Volumes":{"/data":{}},"WorkingDir":"/srv",
            "Labels":{"k":"v"},"StopSignal":"SIGQUIT"},"rootfs":{"type":"layers","diff_ids":["sha256:cc"]},
            "history":[{"created_by":"COPY","empty_layer":true}]}
            """#.split(separator: "\n").joined()
        let config = try ImageConfig(parsing: Array(text.utf8))
        #expect(config.config?.entrypoint == [])
        #expect(config.config?.cmd == nil)
        #expect(config.config?.exposedPorts == ["80/tcp"])
        #expect(String(decoding: config.serialized(), as: UTF8.self) == text)
    }

    @Test(arguments: [
        (#"{"schemaVersion":1}"#, "schemaVersion: is 1, only 2 is supported"),
        (#"{"schemaVersion":2}"#, "config: is required"),
        (
            #"{"schemaVersion":2,"config":{"mediaType":"m","digest":"d","size":-1}}"#, "config.size: -1 is negative"
        ),
    ])
    func errorsNameThePath(text: String, message: String) {
        let error = #expect(throws: OCISpecError.self) { try ImageManifest(parsing: Array(text.utf8)) }
        #expect(error?.description == message)
    }
}
