// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Logging
import OCISpec
import Testing

@testable import ContainerImages

/// One image as a registry serves it, and the service that pulls it.
private struct Served {
    let layer: [UInt8]
    let config: [UInt8]
    let manifest: [UInt8]

    init(architecture: String = Platform.current.architecture) {
        var tar = TarBuilder()
        tar.file("hello", String(repeating: "hello world ", count: 30_000))
        let bytes = tar.finished()
        layer = gzip(bytes)
        let config = ImageConfig(
            architecture: architecture, os: "linux", rootfs: .init(diffIDs: [Digest(of: bytes).description]))
        self.config = config.serialized()
        let manifest = ImageManifest(
            config: Descriptor(
                mediaType: MediaType.ociConfig, digest: Digest(of: self.config).description,
                size: Int64(self.config.count)),
            layers: [
                Descriptor(
                    mediaType: MediaType.ociLayerGzip, digest: Digest(of: layer).description, size: Int64(layer.count))
            ])
        self.manifest = manifest.serialized()
    }

    /// What an honest registry answers.
    func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Answer {
        let path = request.target.prefix { $0 != "?" }
        if path.contains("/manifests/") {
            return ScriptedServer.response("200 OK", headers: [("Content-Type", MediaType.ociManifest)], body: manifest)
        }
        if path.hasSuffix(Digest(of: config).description) { return ScriptedServer.response("200 OK", body: config) }
        guard path.hasSuffix(Digest(of: layer).description) else { return ScriptedServer.response("404 Not Found") }
        guard let range = request.headers["range"], let first = Int(range.dropFirst(6).dropLast()) else {
            return ScriptedServer.response("200 OK", body: layer)
        }
        let headers = [("Content-Range", "bytes \(first)-\(layer.count - 1)/\(layer.count)")]
        return ScriptedServer.response("206 Partial Content", headers: headers, body: Array(layer[first...]))
    }

    func isLayer(_ request: ScriptedServer.Request) -> Bool {
        request.target.contains(Digest(of: layer).description)
    }
}

struct RegistryClientTests {
    /// Pulls `app:1` from a server that follows the script.
    private func pull(
        credentials: RegistryCredentials = RegistryCredentials(),
        configure: @Sendable (inout ImageServiceConfiguration, Int) -> Void = { _, _ in },
        _ script: @escaping ScriptedServer.Script,
        check: (Result<Image, ImageError>, ScriptedServer, String) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start(script)
        try await withTemporaryDirectory { directory in
            var configuration = ImageServiceConfiguration(directory: directory)
            configuration.registries.timeouts.firstDelay = .milliseconds(10)
            configuration.registries.timeouts.longestDelay = .milliseconds(1500)
            configuration.registries.timeouts.connect = .seconds(2)
            configure(&configuration, server.port)
            let service = try await ImageService(configuration: configuration, logger: Logger(label: "test"))
            let result: Result<Image, ImageError>
            do throws(ImageError) {
                result = .success(try await service.pull("127.0.0.1:\(server.port)/app:1", credentials: credentials))
            } catch {
                result = .failure(error)
            }
            try await check(result, server, directory)
            #expect(try Files.names(in: directory + "/ingest").isEmpty)
        }
        try await server.stop()
    }

    private func expectFailure(
        _ result: Result<Image, ImageError>, _ kind: ImageError.Kind, _ words: String...,
        sourceLocation: SourceLocation = #_sourceLocation
    ) {
        guard case .failure(let error) = result else {
            Issue.record("the pull succeeded", sourceLocation: sourceLocation)
            return
        }
        #expect(error.kind == kind, "\(error)", sourceLocation: sourceLocation)
        for word in words { #expect(error.description.contains(word), "\(error)", sourceLocation: sourceLocation) }
    }

    @Test func `an image is pulled, named and not fetched again`() async throws {
        let served = Served()
        try await pull { request, _ in
            served.answer(request)
        } check: { result, server, directory async throws in
            let image = try result.get()
            #expect(image.id == Digest(of: served.config))
            #expect(image.names == ["127.0.0.1:\(server.port)/app:1"])
            #expect(image.digests == ["127.0.0.1:\(server.port)/app@\(Digest(of: served.manifest))"])
            let file = "\(directory)/layers/\(image.layers[0].hex)/fs/hello"
            #expect(try Files.status(file)?.size == 360_000)
            #expect(server.requests.count == 3)
            // Only the manifest is asked for again, as after `docker pull` of a known image.
            let configuration = ImageServiceConfiguration(directory: directory)
            let service = try await ImageService(configuration: configuration, logger: Logger(label: "test"))
            #expect(try await service.pull("127.0.0.1:\(server.port)/app:1") == image)
            #expect(server.requests.count == 4)
            // The compressed layer is not kept.
            #expect(try Files.names(in: directory + "/blobs/sha256").count == 2)
        }
    }

    @Test func `errors of the server are tried again, as it asks`() async throws {
        let served = Served()
        let clock = ContinuousClock()
        let start = clock.now
        try await pull { request, number in
            switch number {
            case 1: ScriptedServer.response("500 Internal Server Error")
            case 2: ScriptedServer.response("429 Too Many Requests", headers: [("Retry-After", "1")])
            default: served.answer(request)
            }
        } check: { result, server, _ async throws in
            _ = try result.get()
            #expect(server.requests.count == 5)
            #expect(clock.now - start >= .seconds(1))
        }
    }

    @Test func `a server that keeps failing is given up`() async throws {
        let body = Array(#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}"#.utf8)
        try await pull { _, _ in
            ScriptedServer.response("429 Too Many Requests", body: body)
        } check: { result, server, _ async throws in
            expectFailure(result, .unavailable, "TOOMANYREQUESTS: slow down", "429")
            #expect(server.requests.count == RegistryConfiguration.Timeouts().attempts)
        }
    }

    @Test func `a server that hangs is given up`() async throws {
        try await pull(configure: { configuration, _ in
            configuration.registries.timeouts.attempts = 2
            configuration.registries.timeouts.response = .seconds(1)
        }) { _, _ in
            .hang
        } check: { result, server, _ async throws in
            expectFailure(result, .unavailable, "does not answer in time")
            #expect(server.requests.count == 2)
        }
    }

    @Test func `a body that stops is given up, and nothing is left`() async throws {
        let served = Served()
        try await pull(configure: { configuration, _ in configuration.registries.timeouts.idle = .milliseconds(300) }) {
            request, _ in
            guard served.isLayer(request) else { return served.answer(request) }
            return ScriptedServer.response("200 OK", body: [0x1F, 0x8B], length: served.layer.count)
        } check: { result, _, directory async throws in
            expectFailure(result, .unavailable)
            #expect(try Files.names(in: directory + "/layers").isEmpty)
        }
    }

    @Test func `no one listens`() async throws {
        try await pull(configure: { configuration, port in
            configuration.registries.timeouts.attempts = 2
            configuration.registries.endpoints["127.0.0.1:\(port)"] = [.init(url: "http://127.0.0.1:1")]
        }) { _, _ in
            .bytes([], close: true)
        } check: { result, _, _ async throws in
            expectFailure(result, .unavailable, "127.0.0.1:1")
        }
    }

    @Test(arguments: [true, false])
    func `an interrupted layer goes on where it stopped`(honoursRange: Bool) async throws {
        let served = Served()
        try await pull { request, _ in
            guard served.isLayer(request) else { return served.answer(request) }
            if request.headers["range"] == nil {
                return ScriptedServer.response(
                    "200 OK", body: Array(served.layer[..<700]), length: served.layer.count, close: true)
            }
            return honoursRange ? served.answer(request) : ScriptedServer.response("200 OK", body: served.layer)
        } check: { result, server, _ async throws in
            #expect(try result.get().id == Digest(of: served.config))
            let ranges = server.requests.filter(served.isLayer).map { $0.headers["range"] }
            #expect(ranges == [nil, "bytes=700-"])
        }
    }

    @Test func `content with the wrong digest is refused`() async throws {
        let served = Served()
        var damaged = served.layer
        damaged[damaged.count / 2] ^= 0xFF
        try await pull { [damaged] request, _ in
            served.isLayer(request) ? ScriptedServer.response("200 OK", body: damaged) : served.answer(request)
        } check: { result, _, directory async throws in
            guard case .failure(let error) = result else {
                Issue.record("the pull succeeded")
                return
            }
            // The decompressor or the digest notices first.
            #expect([.digestMismatch, .malformed].contains(error.kind))
            #expect(try Files.names(in: directory + "/layers").isEmpty)
            #expect(try ImageStore(path: directory).images().isEmpty)
        }
        var other = TarBuilder()
        other.file("hello", "something else")
        let otherLayer = gzip(other.finished())
        try await pull { request, _ in
            guard served.isLayer(request) else { return served.answer(request) }
            return ScriptedServer.response("200 OK", body: otherLayer + [UInt8](repeating: 0, count: 0))
        } check: { result, _, _ async throws in
            guard case .failure(let error) = result else {
                Issue.record("the pull succeeded")
                return
            }
            #expect([.digestMismatch, .unavailable].contains(error.kind), "\(error)")
        }
        try await pull { request, _ in
            request.target.contains("/blobs/") && !served.isLayer(request)
                ? ScriptedServer.response("200 OK", body: Array(served.config.reversed())) : served.answer(request)
        } check: { result, _, _ async throws in
            expectFailure(result, .digestMismatch, "has the content of")
        }
    }

    @Test func `images for other machines are refused clearly`() async throws {
        let foreign = Platform.current.architecture == "s390x" ? "ppc64le" : "s390x"
        let served = Served(architecture: foreign)
        try await pull { request, _ in
            served.answer(request)
        } check: { result, _, _ async throws in
            expectFailure(result, .noMatchingPlatform, "no matching manifest for \(Platform.current.text)", foreign)
        }
        let entry = Descriptor(
            mediaType: MediaType.ociManifest, digest: Digest(of: served.manifest).description, size: 1,
            platform: Platform(architecture: foreign, os: "linux"))
        let index = ImageIndex(manifests: [entry]).serialized()
        try await pull { _, _ in
            ScriptedServer.response("200 OK", headers: [("Content-Type", MediaType.ociIndex)], body: index)
        } check: { result, _, _ async throws in
            expectFailure(
                result, .noMatchingPlatform,
                "no matching manifest for \(Platform.current.text) in the manifest list entries", "linux/\(foreign)")
        }
    }

    @Test func `the right manifest of an index is taken`() async throws {
        let served = Served()
        let entries = ["s390x", Platform.current.architecture].map { architecture in
            Descriptor(
                mediaType: MediaType.ociManifest, digest: Digest(of: served.manifest).description,
                size: Int64(served.manifest.count), platform: Platform(architecture: architecture, os: "linux"))
        }
        let index = ImageIndex(manifests: entries, mediaType: MediaType.dockerManifestList).serialized()
        try await pull { request, _ in
            guard request.target.hasSuffix("/manifests/1") else { return served.answer(request) }
            return ScriptedServer.response(
                "200 OK", headers: [("Content-Type", MediaType.dockerManifestList)], body: index)
        } check: { result, server, _ async throws in
            // The name with a digest is the index's, as upstream has it.
            #expect(try result.get().digests == ["127.0.0.1:\(server.port)/app@\(Digest(of: index))"])
        }
    }

    @Test func `a token is fetched with the credentials and used`() async throws {
        let served = Served()
        try await pull(credentials: .init(username: "me", password: "secret")) { request, _ in
            if request.target.hasPrefix("/token?") {
                let isRight =
                    request.headers["authorization"] == "Basic bWU6c2VjcmV0"
                    && request.target.contains("scope=repository%3Aapp%3Apull")
                    && request.target.contains("service=test")
                return isRight
                    ? ScriptedServer.response("200 OK", body: Array(#"{"token":"abc"}"#.utf8))
                    : ScriptedServer.response("401 Unauthorized")
            }
            if request.headers["authorization"] == "Bearer abc" { return served.answer(request) }
            let host = request.headers["host"] ?? ""
            let challenge = "Bearer realm=\"http://\(host)/token\",service=\"test\",scope=\"repository:app:pull\""
            return ScriptedServer.response("401 Unauthorized", headers: [("WWW-Authenticate", challenge)])
        } check: { result, server, _ async throws in
            _ = try result.get()
            // One challenge and one token for the whole pull.
            #expect(server.requests.count == 5)
        }
    }

    @Test func `an identity token is exchanged by OAuth2`() async throws {
        let served = Served()
        try await pull(credentials: .init(identityToken: "re fresh")) { request, _ in
            if request.target == "/token" {
                let isRight =
                    request.method == "POST" && request.body.contains("grant_type=refresh_token")
                    && request.body.contains("refresh_token=re%20fresh")
                return isRight
                    ? ScriptedServer.response("200 OK", body: Array(#"{"access_token":"xyz"}"#.utf8))
                    : ScriptedServer.response("400 Bad Request")
            }
            if request.headers["authorization"] == "Bearer xyz" { return served.answer(request) }
            let challenge = "Bearer realm=\"http://\(request.headers["host"] ?? "")/token\""
            return ScriptedServer.response("401 Unauthorized", headers: [("WWW-Authenticate", challenge)])
        } check: { result, _, _ async throws in
            _ = try result.get()
        }
    }

    @Test func `credentials stay with the server that asked for them`() async throws {
        let served = Served()
        let store = try await ScriptedServer.start { request, _ in
            request.headers["authorization"] == nil
                ? served.answer(request) : ScriptedServer.response("400 Bad Request")
        }
        let port = store.port
        try await pull(credentials: .init(username: "me", password: "secret")) { request, _ in
            guard request.headers["authorization"] != nil else {
                return ScriptedServer.response("401 Unauthorized", headers: [("WWW-Authenticate", "Basic realm=x")])
            }
            guard served.isLayer(request) else { return served.answer(request) }
            let location = "http://127.0.0.1:\(port)\(request.target)"
            return ScriptedServer.response("307 Temporary Redirect", headers: [("Location", location)])
        } check: { result, _, _ async throws in
            _ = try result.get()
            #expect(store.requests.count == 1)
        }
        try await store.stop()
    }

    @Test func `redirects in a circle end`() async throws {
        try await pull { request, _ in
            ScriptedServer.response("302 Found", headers: [("Location", request.target)])
        } check: { result, server, _ async throws in
            expectFailure(result, .unavailable, "redirects more than")
            #expect(server.requests.count == 6)
        }
    }

    @Test func `a mirror is asked first and told which registry is meant`() async throws {
        let served = Served()
        let mirror = try await ScriptedServer.start { request, _ in served.answer(request) }
        let port = mirror.port
        try await pull(configure: { configuration, own in
            configuration.registries.endpoints["127.0.0.1:\(own)"] = [.init(url: "http://127.0.0.1:\(port)/mirror")]
        }) { _, _ in
            ScriptedServer.response("500 Internal Server Error")
        } check: { result, server, _ async throws in
            _ = try result.get()
            #expect(server.requests.isEmpty)
            #expect(mirror.requests[0].target == "/mirror/v2/app/manifests/1?ns=127.0.0.1%3A\(server.port)")
        }
        try await mirror.stop()
        // And what the mirror does not have comes from the registry.
        try await pull(configure: { configuration, own in
            configuration.registries.timeouts.attempts = 1
            configuration.registries.endpoints["*"] = [.init(url: "http://127.0.0.1:1")]
        }) { request, _ in
            served.answer(request)
        } check: { result, _, _ async throws in
            _ = try result.get()
        }
    }

    @Test(arguments: [
        "{", "[]", "{\"schemaVersion\":2}", "{\"schemaVersion\":1,\"name\":\"x\"}",
        #"{"schemaVersion":2,"config":{"mediaType":"application/vnd.example.chart","digest":"sha256:00","size":2},"layers":[]}"#,
        #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"digest":"../x"}]}"#,
        #"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:../../etc/passwd","size":2},"layers":[]}"#,
    ])
    func `broken manifests are refused`(text: String) async throws {
        try await pull { _, _ in
            ScriptedServer.response(
                "200 OK", headers: [("Content-Type", MediaType.ociManifest)], body: Array(text.utf8))
        } check: { result, _, _ async throws in
            guard case .failure(let error) = result else {
                Issue.record("the pull succeeded")
                return
            }
            #expect([.malformed, .unsupported, .invalidReference].contains(error.kind), "\(error)")
        }
    }

    @Test func `many callers share one pull, and it ends with the last`() async throws {
        let served = Served()
        let server = try await ScriptedServer.start { request, _ in served.answer(request) }
        let hanging = try await ScriptedServer.start { _, _ in .hang }
        try await withTemporaryDirectory { directory in
            let service = try await ImageService(
                configuration: ImageServiceConfiguration(directory: directory), logger: Logger(label: "test"))
            try await withThrowingTaskGroup(of: Image.self) { group in
                for _ in 0..<20 { group.addTask { try await service.pull("127.0.0.1:\(server.port)/app:1") } }
                for try await image in group { #expect(image.id == Digest(of: served.config)) }
            }
            #expect(server.requests.filter(served.isLayer).count == 1)
            // A caller that gives up does not wait for the registry.
            let task = Task { try await service.pull("127.0.0.1:\(hanging.port)/app:1") }
            for _ in 0..<2000 where hanging.requests.isEmpty { try await Task.sleep(for: .milliseconds(10)) }
            try #require(!hanging.requests.isEmpty)
            task.cancel()
            let error = await expectError(.unavailable) { try await task.value }
            #expect(error?.reason == "cancelled")
        }
        try await server.stop()
        try await hanging.stop()
    }
}
