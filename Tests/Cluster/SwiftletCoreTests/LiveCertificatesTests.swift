// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import ControllerRuntime
import Controllers
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import NIOCore
import NIOPosix
import PKI
import StorageSQLite
import Testing

@testable import SwiftletCore

/// Certificates that are exchanged while control plane and worker run, over the real API and TLS.
@Suite struct LiveCertificatesTests {
    private static let group = MultiThreadedEventLoopGroup.singleton
    private static let workerAddress = IPAddress(v4: 10, 0, 0, 5)

    /// A control plane on a free port of the loopback interface, with what concerns certificates and nothing else.
    private struct ControlPlane: Sendable {
        let configuration: Configuration
        let identity: CurrentIdentity
        let server: APIServer
        let client: InProcessClient
        let notice: CertificateNotice
        let port: Int

        var files: AuthorityFiles { AuthorityFiles(directory: configuration.keyDirectory) }

        /// A worker's part in this cluster.
        ///
        /// - Parameter validity: of its certificates.
        func membership(_ validity: Validity) throws -> Membership {
            let authority = identity.value.authority
            func issue(_ purpose: CertificateProfile.Purpose) throws -> Membership.CertifiedKey {
                let names = SubjectAlternativeNames(
                    dnsNames: ["worker"], ipAddresses: [LiveCertificatesTests.workerAddress])
                let (certificate, key) = try authority.issue(
                    .init(
                        subject: .init(commonName: "system:node:worker", organizations: ["system:nodes"]),
                        alternativeNames: purpose == .server ? names : .init(), purposes: [purpose], validity: validity)
                )
                return .init(certificatePEM: try certificate.pem(), keyPEM: try key.pem())
            }
            return Membership(
                nodeName: "worker", nodeCIDR: "10.1.1.0/24",
                cluster: ClusterFacts(
                    servers: ["https://127.0.0.1:\(port)"], clusterCIDR: "10.1.0.0/16", serviceCIDR: "10.152.0.0/16",
                    clusterDomain: "cluster.local"),
                authorityPEM: identity.value.authorityPEM, client: try issue(.client), serving: try issue(.server))
        }
    }

    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func withControlPlane(_ body: @Sendable @escaping (ControlPlane) async throws -> Void) async throws {
        let directory = try TemporaryDirectory()
        var configuration = Configuration()
        configuration.directories.state = directory.path + "/state"
        configuration.directories.run = directory.path + "/run"
        configuration.directories.configuration = directory.path + "/etc"
        try Files.makeDirectories(configuration.directories.run)
        let settings = configuration
        let node = NodeIdentity(name: "control", hostName: "control", addresses: [.loopbackV4])
        let identity = CurrentIdentity(try settings.loadIdentity(of: node, logger: Self.logger))
        let storage = try SQLiteStorage(.init(location: .memory), logger: Self.logger)
        var api = APIServerConfiguration(
            advertised: .init(endpoint: .init(host: "10.9.9.9", port: 16443)),
            serviceAccountKey: identity.value.serviceAccountKey)
        api.listeners = [.init(host: "127.0.0.1", port: 0)]
        api.tls = try HTTPServerTLS(identity.value.apiServerTLS)
        let server = try APIServer(
            configuration: api, storage: storage, group: Self.group,
            extensions: { client in
                [
                    JoinService(
                        client: client(.loopback, "test"), identity: { identity.value },
                        reserved: { .init(names: [], addresses: []) },
                        facts: { ClusterFacts(servers: ["-"], clusterCIDR: "-", serviceCIDR: "-", clusterDomain: "-") },
                        now: { .now() }, logger: Self.logger)
                ]
            }, logger: Self.logger)
        let client = server.client(user: .loopback, manager: "test")
        let informers = InformerSet(client: client, logger: Self.logger)
        let context = ControllerContext(client: client, informers: informers, logger: Self.logger) { .now() }
        let accounts = ServiceAccountController(context: context) {
            String(decoding: identity.value.authorityPEM, as: UTF8.self)
        }
        identity.observeAuthorities { accounts.authoritiesChanged() }
        let loops: [any ControlLoop] = [
            CertificateApprover(
                context: context, reserved: { ReservedHosts(names: [], addresses: []) },
                isAllowed: { server.isAllowed($0) }),
            CertificateSigningController(context: context, signer: AuthoritySigner { identity.value.authority }),
            accounts,
        ]
        let notice = CertificateNotice()
        let certificates = ServerCertificates(
            settings, node: node, current: identity, server: server,
            kubelet: try HTTPServerTLS(identity.value.kubeletTLS),
            addresses: try ControlPlaneAddresses(settings, node, identity.value), notice: notice, logger: Self.logger
        ) { try settings.loadIdentity(of: $0, logger: Self.logger) }
        try await Self.while(
            { group in
                group.addTask { try await storage.run() }
                let port = try await server.bind().first?.port ?? 0
                group.addTask { try await server.run() }
                try await server.waitUntilReady()
                group.addTask { try await informers.run() }
                for loop in loops { group.addTask { try await loop.run() } }
                group.addTask { try await certificates.run() }
                var worker = KubeObject(.init("", "v1", "Node"), name: "worker")
                worker.status = [
                    "addresses": [["type": "InternalIP", "address": .string("\(Self.workerAddress)")]]
                ]
                _ = try await client.create(.nodes, object: worker)
                return ControlPlane(
                    configuration: settings, identity: identity, server: server, client: client, notice: notice,
                    port: port)
            }, body)
        // It goes here and not before.
        _ = directory.path
    }

    /// Runs `body` while what `start` began goes on; that ends by being cancelled.
    private static func `while`<Value: Sendable>(
        _ start: (inout ThrowingTaskGroup<Void, any Error>) async throws -> Value,
        _ body: (Value) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            let result: Result<Void, any Error>
            do {
                try await body(try await start(&group))
                result = .success(())
            } catch {
                result = .failure(error)
            }
            group.cancelAll()
            while await group.nextResult() != nil {}
            try result.get()
        }
    }

    /// A worker whose certificates are looked after while `body` runs.
    private func withWorker(
        _ membership: Membership, _ control: ControlPlane,
        _ body: (HTTPSClient, Configuration.Directories) async throws -> Void
    ) async throws {
        let directory = try TemporaryDirectory()
        var directories = Configuration.Directories()
        directories.state = directory.path + "/state"
        directories.run = directory.path + "/run"
        try Files.makeDirectories(directories.run)
        try membership.create(stateDirectory: directories.state)
        let client = try membership.makeClient(Configuration(), group: Self.group, logger: Self.logger)
        let certificates = WorkerCertificates(
            CurrentMembership(membership, stateDirectory: directories.state),
            node: NodeIdentity(name: "worker", hostName: "worker", addresses: [Self.workerAddress]),
            runDirectory: directories.run, client: client, kubelet: try HTTPServerTLS(membership.serverTLS),
            notice: CertificateNotice(), random: 0, logger: Self.logger)
        let settled = directories
        try await Self.while(
            { group in
                group.addTask { try await certificates.run() }
            }, { _ in try await body(client, settled) })
        try await client.close()
        // It goes here and not before.
        _ = directory.path
    }

    /// The SHA-256 of the certificate by which the server knows a client, on the connection that it has.
    private static func known(_ client: HTTPSClient) async throws -> String {
        let review = KubeObject(.init("authentication.k8s.io", "v1", "SelfSubjectReview"), name: "")
        let answer = try await client.create(
            .init("authentication.k8s.io", "v1", "selfsubjectreviews"), object: review)
        let extra = answer.status["userInfo"]?["extra"]
        let text = extra?["authentication.kubernetes.io/credential-id"]?[0]?.string ?? ""
        return String(text.dropFirst("X509SHA256=".count))
    }

    /// Waits until something is true; the test's own limit ends a wait in vain.
    private static func until(_ condition: () async throws -> Bool) async throws {
        while try await !condition() { try await Task.sleep(for: .milliseconds(20)) }
    }

    private static func fingerprint(_ key: Membership.CertifiedKey) throws -> String {
        hexadecimal(try Certificate(pem: key.pem).fingerprint)
    }

    private static let day: Int64 = 86400

    @Test(.timeLimit(.minutes(2))) func certificatesLateInTheirLifeAreExchangedInTheRunningProcess() async throws {
        try await withControlPlane { control in
            // Ten months of a year are over.
            let now = FileTime.now().seconds
            let old = try control.membership(Validity(notBefore: now - 300 * Self.day, notAfter: now + 65 * Self.day))
            let before = try old.makeClient(Configuration(), group: Self.group, logger: Self.logger)
            #expect(try await Self.known(before) == Self.fingerprint(old.client))
            try await before.close()
            try await withWorker(old, control) { client, directories in
                func stored() throws -> Membership {
                    try #require(try Membership.load(stateDirectory: directories.state))
                }
                try await Self.until {
                    let new = try stored()
                    return new.client != old.client && new.serving != old.serving
                }
                let new = try stored()
                for key in [new.client, new.serving] {
                    let validity = try Certificate(pem: key.pem).validity
                    #expect(validity.notAfter > now + 364 * Self.day && validity.notAfter <= now + 366 * Self.day)
                }
                let serving = try Certificate(pem: new.serving.pem)
                #expect(serving.alternativeNames.ipAddresses == [Self.workerAddress])
                // The same client object, which nobody has restarted, is known by the new certificate.
                try await Self.until { try await Self.known(client) == Self.fingerprint(new.client) }
                // Once is enough.
                let requests = try await control.client.list(
                    .init("certificates.k8s.io", "v1", "certificatesigningrequests"), namespace: nil, options: .init())
                #expect(requests.items.count == 2)
            }
        }
    }

    /// Certificates for the addresses of before must not come last when they are loaded anew just while the addresses change.
    @Test(.timeLimit(.minutes(2))) func certificatesForTheAddressesOfNowComeLast() async throws {
        try await withControlPlane { control in
            let settings = control.configuration
            let before = NodeIdentity(name: "control", hostName: "control", addresses: [.loopbackV4])
            let now = NodeIdentity(name: "control", hostName: "control", addresses: [IPAddress(v4: 10, 0, 0, 9)])
            @Sendable func isForNow() -> Bool {
                control.identity.value.apiServer.certificate.alternativeNames.ipAddresses.contains(now.addresses[0])
            }
            let notice = CertificateNotice()
            let (reloads, reloading) = AsyncStream<Void>.makeStream()
            let certificates = ServerCertificates(
                settings, node: before, current: control.identity, server: control.server,
                kubelet: try HTTPServerTLS(control.identity.value.kubeletTLS),
                addresses: try ControlPlaneAddresses(settings, before, control.identity.value), notice: notice,
                logger: Self.logger
            ) { node in
                let identity = try settings.loadIdentity(of: node, logger: Self.logger)
                guard node == before else { return identity }
                reloading.yield()
                // Time for the others to come in between.
                for _ in 0..<100 where !isForNow() { Processes.sleep(milliseconds: 5) }
                return identity
            }
            try await Self.while(
                { group in
                    group.addTask { try await certificates.run() }
                },
                { _ in
                    notice.post()
                    for await _ in reloads { break }
                    try await certificates.addressesChanged(now)
                })
            // What was begun before has come to its end, too.
            #expect(isForNow())
        }
    }

    @Test(.timeLimit(.minutes(2))) func theAuthorityIsReplacedWhileAWorkerStaysConnected() async throws {
        try await withControlPlane { control in
            let now = FileTime.now().seconds
            let membership = try control.membership(.backdated(now: now, lifetimeSeconds: 300 * Self.day))
            // A kubeconfig of before, in the form of a client.
            let admin = control.identity.value.admin
            let oldAuthority = control.identity.value.authorityPEM
            func administrator(_ authorities: [UInt8], _ user: Credential) throws -> HTTPSClient {
                var settings = HTTPSClientConfiguration(
                    servers: ["https://127.0.0.1:\(control.port)"],
                    tls: HTTPClientTLS(
                        verification: .authorities(authorities), identity: (user.certificatePEM, user.keyPEM)))
                settings.limits.attempts = 1
                return try HTTPSClient(settings, group: Self.group, logger: Self.logger)
            }
            func works(_ client: HTTPSClient) async throws -> Bool {
                defer { client.reconnect() }
                do {
                    _ = try await client.list(.nodes, namespace: nil, options: .init())
                    return true
                } catch is ClientError {
                    return false
                } catch let error as StatusError where error.code == 401 {
                    return false
                }
            }
            let oldUser = try administrator(oldAuthority, admin)
            try await withWorker(membership, control) { worker, directories in
                func reported() async throws -> RotationMachine.Use {
                    NodeCertificates.use(try await control.client.get(.nodes, namespace: nil, name: "worker"))
                }
                func published() async throws -> [UInt8] {
                    let map = try await control.client.get(
                        .configMaps, namespace: "default", name: "kube-root-ca.crt")
                    return Array((map.json["data"]?["ca.crt"]?.string ?? "").utf8)
                }
                let old = control.identity.value.authorityFingerprint
                try await Self.until { try await reported() == .init(trusted: [old], certifiedBy: old) }

                let set = try control.files.prepare(now: now)
                let new = set.fingerprints[1]
                control.notice.post()
                try await Self.until { try await reported() == .init(trusted: [old, new], certifiedBy: old) }
                #expect(try await works(oldUser))

                try control.files.activate()
                control.notice.post()
                try await Self.until { try await reported() == .init(trusted: [new, old], certifiedBy: new) }
                let stored = try #require(try Membership.load(stateDirectory: directories.state))
                #expect(try stored.fingerprints() == [new, old])
                try await Self.until { try await Self.known(worker) == Self.fingerprint(stored.client) }
                try await Self.until { try await published() == control.identity.value.authorityPEM }
                // Who knows only the old authority recognises the server by the bridge.
                #expect(try await works(oldUser))
                let newUser = try administrator(
                    try set.next?.pem() ?? [], control.identity.value.admin)
                #expect(try await works(newUser))

                try control.files.drop()
                control.notice.post()
                try await Self.until { try await reported() == .init(trusted: [new], certifiedBy: new) }
                #expect(try await Self.known(worker) == Self.fingerprint(stored.client))
                #expect(try await works(newUser))
                #expect(try await !works(oldUser))
                // Nor does the server accept what the old authority certified.
                let oldKey = try administrator(control.identity.value.authorityPEM, admin)
                #expect(try await !works(oldKey))
                for client in [newUser, oldKey] { try await client.close() }
            }
            try await oldUser.close()
        }
    }
}
