// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import NIOPosix
import PKI
import StorageSQLite
import Testing

/// The join service over the real API, in process.
@Suite struct JoinServiceTests {
    static let now = KubeTime(seconds: 1_800_000_000)

    struct Fixture {
        let client: InProcessClient
        let service: JoinService
        let identity: ClusterIdentity

        func token(uses: Int = 1) async throws -> JoinToken {
            try await JoinTokenStore(client: client) { JoinServiceTests.now }.create(uses: uses, lifetime: 60)
        }

        /// A board with keys of its own asks to join.
        func join(
            _ board: Board, _ token: JoinToken?, change: (inout JSON) -> Void = { _ in }
        ) async throws -> JoinAnswer {
            var body = try board.request
            change(&body)
            return try JoinAnswer(
                try await service.answer(
                    ExtensionRequest(method: "POST", path: JoinPath.join, body: body, token: token?.description)))
        }
    }

    struct Board {
        var name: String
        var address = "192.168.1.31"
        var machineID = "m1"
        let key: PrivateKey
        let servingKey: PrivateKey

        init(_ name: String, address: String = "192.168.1.31", machineID: String = "m1") throws {
            self.name = name
            self.address = address
            self.machineID = machineID
            key = try PrivateKey.generate()
            servingKey = try PrivateKey.generate()
        }

        var request: JSON {
            get throws {
                // What a board asks for in its certificate requests does not count.
                let subject = DistinguishedName(commonName: "kubernetes-admin", organizations: ["system:masters"])
                func pem(_ key: PrivateKey) throws -> String {
                    String(decoding: try CertificateSigningRequest(subject: subject, key: key).pem, as: UTF8.self)
                }
                return JoinRequest(
                    nodeName: name, machineID: machineID, addresses: [IPAddress(address) ?? .loopbackV4],
                    version: "v1.36.0", clientRequest: try pem(key), servingRequest: try pem(servingKey)
                ).json
            }
        }
    }

    func withService(_ body: (Fixture) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let storage = try SQLiteStorage(.init(location: .memory), logger: logger)
        let identity = try ClusterIdentityTests.load(directory, now: Int64(Self.now.seconds))
        let server = try APIServer(
            configuration: .init(
                advertised: .init(endpoint: .init(host: "127.0.0.1", port: 6443)),
                serviceAccountKey: identity.serviceAccountKey),
            storage: storage, group: MultiThreadedEventLoopGroup.singleton, logger: logger)
        let client = server.client(user: .loopback, manager: "test")
        let names = identity.apiServer.certificate.alternativeNames
        let service = JoinService(
            client: client, identity: { identity },
            reserved: { .init(names: Set(names.dnsNames), addresses: Set(names.ipAddresses)) },
            facts: {
                ClusterFacts(
                    servers: ["https://192.168.1.20:16443"], clusterCIDR: "10.1.0.0/16", serviceCIDR: "10.152.0.0/16",
                    clusterDomain: "cluster.local")
            }, now: { Self.now }, logger: logger)
        try await withThrowingTaskGroup { group in
            group.addTask { try await storage.run() }
            group.addTask { try await server.run() }
            try await server.waitUntilReady()
            // Stands in for the controller that gives nodes their ranges.
            group.addTask {
                var next = 1
                let watch = try await client.watch(.nodes, namespace: nil, options: .init())
                for try await event in watch {
                    guard case .added(let node) = event else { continue }
                    let ranges = ["10.1.\(next).0/24", "fd42:0:0:\(next)::/64"]
                    _ = try await client.patch(
                        .nodes, namespace: nil, name: node.name, subresource: nil, type: .merge,
                        patch: ["spec": ["podCIDR": .string(ranges[0]), "podCIDRs": JSON(ranges)]], options: .init())
                    next += 1
                }
            }
            try await body(Fixture(client: client, service: service, identity: identity))
            group.cancelAll()
            // They end by cancellation; only that they end matters here.
            while await group.nextResult() != nil {}
        }
    }

    @Test func theCertificatesAreANodesWhateverWasAskedFor() async throws {
        try await withService { fixture in
            let board = try Board("pi2")
            let answer = try await fixture.join(board, try await fixture.token())
            #expect(answer.nodeCIDR == "10.1.1.0/24,fd42:0:0:1::/64")
            #expect(Array(answer.authorities.utf8) == fixture.identity.authorityPEM)
            let client = try Certificate(pem: Array(answer.clientCertificate.utf8))
            #expect(client.subject.commonName == "system:node:pi2" && client.subject.organizations == ["system:nodes"])
            let key = try board.key.publicKey()
            #expect(client.publicKey == key)
            let serving = try Certificate(pem: Array(answer.servingCertificate.utf8))
            #expect(serving.alternativeNames.dnsNames == ["pi2"])
            #expect(serving.alternativeNames.ipAddresses == [IPAddress(v4: 192, 168, 1, 31)])
            let verifier = try CertificateVerifier(trusting: [fixture.identity.authority.certificate])
            try verifier.verify(client, purpose: .client, at: Int64(Self.now.seconds))
            try verifier.verify(serving, purpose: .server, at: Int64(Self.now.seconds))
            #expect(throws: PKIError.self) {
                try verifier.verify(serving, purpose: .client, at: Int64(Self.now.seconds))
            }
        }
    }

    @Test func aBoardThatLostTheAnswerAsksAgainAndAnotherMayNot() async throws {
        try await withService { fixture in
            let token = try await fixture.token()
            let board = try Board("pi2")
            let first = try await fixture.join(board, token)
            let second = try await fixture.join(board, token)
            #expect(first.nodeCIDR == second.nodeCIDR)
            let error = await #expect(throws: StatusError.self) {
                try await fixture.join(try Board("pi3", address: "192.168.1.32"), token)
            }
            #expect(error?.code == 401 && error?.message.contains("used already") == true)
        }
    }

    @Test func ofRacingBoardsExactlyAsManyAsTheTokenAllowsGetIn() async throws {
        try await withService { fixture in
            let token = try await fixture.token(uses: 2)
            let winners = await withTaskGroup(of: Bool.self) { group in
                for number in 1...6 {
                    group.addTask {
                        do {
                            let board = try Board("racer\(number)", address: "192.168.1.\(40 + number)")
                            _ = try await fixture.join(board, token)
                            return true
                        } catch {
                            return false
                        }
                    }
                }
                return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(winners == 2)
            let nodes = try await fixture.client.list(.nodes, namespace: nil, options: .init())
            #expect(nodes.items.count == 2)
        }
    }

    @Test(arguments: [
        ("the control plane's name", "kubernetes", "192.168.1.31", "taken"),
        ("a Service's name", "web.default.svc", "192.168.1.31", "Services"),
        ("the control plane's address", "pi2", "192.168.1.20", "control plane"),
        ("the Service's address", "pi2", "10.152.0.1", "control plane"),
        ("no name", "Pi_2", "192.168.1.31", "--node-name"),
        ("a loopback address", "pi2", "127.0.0.1", "no address"),
    ])
    func whatABoardMayNotBeKeepsTheToken(what: String, name: String, address: String, words: String) async throws {
        try await withService { fixture in
            let token = try await fixture.token()
            let error = await #expect(throws: StatusError.self) {
                try await fixture.join(try Board(name, address: address), token)
            }
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            _ = try await fixture.join(try Board("pi2"), token)
        }
    }

    @Test func anotherMachineDoesNotGetATakenNameNorAddress() async throws {
        try await withService { fixture in
            _ = try await fixture.join(try Board("pi2"), try await fixture.token())
            var node = try await fixture.client.get(.nodes, namespace: nil, name: "pi2")
            node.status = [
                "nodeInfo": ["machineID": "m1"], "addresses": [["type": "InternalIP", "address": "192.168.1.31"]],
            ]
            _ = try await fixture.client.updateStatus(.nodes, object: node)
            let token = try await fixture.token(uses: 5)
            let name = await #expect(throws: StatusError.self) {
                try await fixture.join(try Board("pi2", address: "192.168.1.33", machineID: "m2"), token)
            }
            // Both are named, and what to do.
            for words in ["another machine at 192.168.1.31", "machine-id m1", "is m2", "--node-name", "remove-node"] {
                #expect(name?.message.contains(words) == true, "\(words)")
            }
            let address = await #expect(throws: StatusError.self) {
                try await fixture.join(try Board("pi3", machineID: "m2"), token)
            }
            for words in ["node \"pi2\"", "nodeAddresses"] {
                #expect(address?.message.contains(words) == true, "\(words)")
            }
            // The machine itself comes back, with new keys.
            _ = try await fixture.join(try Board("pi2"), token)
            // A twin is let in, and told.
            let twin = try await fixture.join(try Board("pi4", address: "192.168.1.34"), token)
            #expect(twin.warnings.first?.contains("node \"pi2\" at 192.168.1.31 has the same machine-id (m1)") == true)
        }
    }

    @Test func aBoardThatComesBackTakesPodsAgain() async throws {
        try await withService { fixture in
            let board = try Board("pi2")
            _ = try await fixture.join(board, try await fixture.token())
            var node = try await fixture.client.get(.nodes, namespace: nil, name: "pi2")
            node.status = ["nodeInfo": ["machineID": "m1"]]
            _ = try await fixture.client.updateStatus(.nodes, object: node)
            func isCordoned() async throws -> Bool {
                try await fixture.client.get(.nodes, namespace: nil, name: "pi2").spec["unschedulable"]?.bool == true
            }
            _ = try await fixture.client.patch(
                .nodes, namespace: nil, name: "pi2", subresource: nil, type: .merge,
                patch: ["spec": ["unschedulable": true]], options: .init())
            // One that lost the answer has never left.
            _ = try await fixture.join(board, try await fixture.token())
            #expect(try await isCordoned())
            _ = try await fixture.join(try Board("pi2"), try await fixture.token())
            #expect(try await !isCordoned())
        }
    }

    @Test func aNodeThatDoesNotAnswerIsLeftAsItIs() async throws {
        try await withService { fixture in
            _ = try await fixture.join(try Board("pi2"), try await fixture.token())
            let removal = NodeRemoval(client: fixture.client)
            let error = await #expect(throws: JoinError.self) {
                try await removal.remove("pi2", force: false, timeout: .zero) { _ in }
            }
            #expect(error?.reason.contains("does not answer") == true)
            var node = try await fixture.client.get(.nodes, namespace: nil, name: "pi2")
            #expect(node.spec["unschedulable"] == nil)

            node.status = ["conditions": [["type": "Ready", "status": "True"]]]
            _ = try await fixture.client.updateStatus(.nodes, object: node)
            _ = try await fixture.client.create(
                .serviceAccounts,
                object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            let pod: JSON = [
                "apiVersion": "v1", "kind": "Pod", "metadata": ["name": "stays", "namespace": "default"],
                "spec": ["nodeName": "pi2", "containers": [["name": "c", "image": "i"]]],
            ]
            _ = try await fixture.client.create(.pods, object: KubeObject(pod))
            let held = await #expect(throws: StatusError.self) {
                try await fixture.service.answer(
                    ExtensionRequest(
                        method: "POST", path: JoinPath.leave, body: ["timeoutSeconds": 0],
                        user: UserInfo(name: "system:node:pi2", groups: ["system:nodes"])))
            }
            // It is the node's to know, and no fault of the server's.
            #expect(held?.code == 409)
            for words in ["default/stays", "PodDisruptionBudgets", "kubectl uncordon pi2"] {
                #expect(held?.message.contains(words) == true, "\(held?.message ?? "")")
            }
        }
    }

    @Test(arguments: ["nodeName", "machineID", "addresses", "clientRequest", "servingRequest", "protocol", "version"])
    func aRequestWithoutAFieldIsRefusedByName(field: String) async throws {
        try await withService { fixture in
            let error = await #expect(throws: StatusError.self) {
                try await fixture.join(try Board("pi2"), try await fixture.token()) { $0[field] = nil }
            }
            #expect(error?.code == 400 && error?.message.contains(field) == true, "\(error?.message ?? "")")
        }
    }

    @Test(arguments: [("v1.37.0", false), ("v1.36.9", true), ("v1.33.0", true), ("v1.32.0", false), ("v2.0.0", false)])
    func versionsFollowTheSkewPolicy(version: String, isTaken: Bool) async throws {
        try await withService { fixture in
            let answer = try? await fixture.join(try Board("pi2"), try await fixture.token()) {
                $0["version"] = .string(version)
            }
            #expect((answer != nil) == isTaken)
        }
    }

    /// What is told of those who have no token is bounded: a name, and no more.
    @Test func whatIsNoNameIsRefusedBeforeTheToken() async throws {
        try await withService { fixture in
            let unknown = try #require(JoinToken("abcdef.0123456789abcdef"))
            let name = String(repeating: "x\nSWIFTLET_NODE=pi", count: 1000)
            let error = await #expect(throws: StatusError.self) { try await fixture.join(try Board(name), unknown) }
            #expect(error?.code == 400 && (error?.message.utf8.count ?? 0) < 1000)
            let other = await #expect(throws: StatusError.self) { try await fixture.join(try Board("pi2"), unknown) }
            #expect(other?.code == 401)
        }
    }

    @Test(.timeLimit(.minutes(1))) func aNodeLeavesOnceAtATime() async throws {
        try await withService { fixture in
            _ = try await fixture.join(try Board("pi2"), try await fixture.token())
            let client = fixture.client
            var node = try await client.get(.nodes, namespace: nil, name: "pi2")
            node.setCondition(Condition(type: "Ready", status: "True", reason: "Test"))
            _ = try await client.updateStatus(.nodes, object: node)
            _ = try await client.create(
                .serviceAccounts,
                object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: "p")
            pod.spec = ["nodeName": "pi2", "containers": [["name": "c", "image": "i"]]]
            _ = try await client.create(.pods, object: pod)
            let request = ExtensionRequest(
                method: "POST", path: JoinPath.leave, body: ["timeoutSeconds": 600],
                user: UserInfo(name: "system:node:pi2", groups: ["system:nodes"]))
            async let first = fixture.service.answer(request)
            while try await client.get(.pods, namespace: "default", name: "p").isBeingDeleted == false {
                try await Task.sleep(for: .milliseconds(5))
            }
            let second = await #expect(throws: StatusError.self) { try await fixture.service.answer(request) }
            #expect(second?.code == 409)
            // It waits for its pods outside the bounds for requests, and for nothing else.
            #expect(fixture.service.isLongRunning(JoinPath.leave) && !fixture.service.isLongRunning(JoinPath.join))
            try await client.delete(
                .pods, namespace: "default", name: "p", options: DeleteOptions(gracePeriodSeconds: 0))
            #expect(try await first["node"]?.string == "pi2")
        }
    }

    @Test func withoutATokenNothingHappens() async throws {
        try await withService { fixture in
            let error = await #expect(throws: StatusError.self) { try await fixture.join(try Board("pi2"), nil) }
            #expect(error?.code == 401)
            let nodes = try await fixture.client.list(.nodes, namespace: nil, options: .init())
            #expect(nodes.items.isEmpty)
        }
    }
}
