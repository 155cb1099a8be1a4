// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import Controllers
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import PKI
import Testing

@testable import APIServer

@Suite struct SigningRequestTests {
    static let requests = GroupVersionResource("certificates.k8s.io", "v1", "certificatesigningrequests")
    private static let kubelet = UserInfo(
        name: "system:node:n1", groups: [UserInfo.WellKnown.nodesGroup, UserInfo.WellKnown.authenticatedGroup])

    static func object(
        _ name: String, signer: String, subject: DistinguishedName, names: SubjectAlternativeNames = .init(),
        usages: [String], seconds: Int? = nil
    ) throws -> KubeObject {
        let request = try CertificateSigningRequest(subject: subject, alternativeNames: names, key: .generate(.p256))
        var object = KubeObject(.init("certificates.k8s.io", "v1", "CertificateSigningRequest"), name: name)
        object.spec = [
            "request": .string(Base64.encode(request.pem)), "signerName": .string("kubernetes.io/\(signer)"),
            "usages": JSON(usages),
        ]
        if let seconds { object.json["spec", "expirationSeconds"] = JSON(seconds) }
        return object
    }

    private static let node = DistinguishedName(commonName: "system:node:n1", organizations: ["system:nodes"])
    private static let clientUsages = ["digital signature", "client auth"]

    private func create(_ object: KubeObject, _ api: ServedAPI, as user: UserInfo) async throws -> KubeObject {
        try await api.server.registry.create(
            api.server.registry.served(Self.requests), namespace: "", object: object, options: .init(),
            context: RequestContext(user: user)
        ).object
    }

    @Test func theServerNotesWhoAsksAndRefusesWhatNoSignerTakes() async throws {
        try await ServedAPI.run { api in
            var forged = try Self.object(
                "a", signer: "kube-apiserver-client-kubelet", subject: Self.node, usages: Self.clientUsages)
            forged.json["spec", "username"] = "admin"
            forged.json["spec", "groups"] = ["system:masters"]
            let stored = try await create(forged, api, as: Self.kubelet)
            #expect(stored.spec["username"]?.string == "system:node:n1")
            #expect(stored.spec["groups"] == JSON(Self.kubelet.groups))

            var bad = try Self.object(
                "b", signer: "x", subject: Self.node, usages: ["client auth", "client auth", "fly"], seconds: 599)
            bad.json["spec", "request"] = "bm9uc2Vuc2U="
            bad.json["spec", "signerName"] = "unqualified"
            let error = await status { _ = try await create(bad, api, as: .loopback) }
            let fields = Set(error?.details?.causes.map(\.field) ?? [])
            #expect(
                fields.isSuperset(of: [
                    "spec.request", "spec.usages[1]", "spec.usages[2]", "spec.signerName", "spec.expirationSeconds",
                ]), "\(fields)")

            let master = try Self.object(
                "c", signer: "kube-apiserver-client",
                subject: .init(commonName: "eve", organizations: ["system:masters"]), usages: ["client auth"])
            let refused = await status { _ = try await create(master, api, as: .loopback) }
            #expect(refused?.code == 403)
        }
    }

    @Test func decisionsAndCertificatesNeedTheRightOnTheSigner() async throws {
        try await ServedAPI.run { api in
            let registry = api.server.registry
            let served = try registry.served(Self.requests)
            let stored = try await create(
                Self.object("a", signer: "kube-apiserver-client", subject: Self.node, usages: ["client auth"]), api,
                as: Self.kubelet)
            func update(_ part: String, _ user: UserInfo, _ change: @escaping @Sendable (inout KubeObject) -> Void)
                async -> StatusError?
            {
                await status {
                    _ = try await registry.update(
                        .init(served: served, namespace: "", name: "a", subresource: part, options: .init()) { old in
                            var object = old ?? stored
                            change(&object)
                            return object
                        }, context: RequestContext(user: user))
                }
            }
            let approved = Condition(type: "Approved", status: "True", reason: "Test")
            let forbidden = await update("approval", Self.kubelet) { $0.setCondition(approved) }
            #expect(
                forbidden?.message.contains(
                    #"user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client""#)
                    ?? false, "\(String(describing: forbidden))")
            let elsewhere = await update("status", .loopback) { $0.setCondition(approved) }
            #expect(elsewhere?.code == 422)
            #expect(await update("approval", .loopback) { $0.setCondition(approved) } == nil)
            let removed = await update("approval", .loopback) { $0.removeCondition("Approved") }
            #expect(removed?.code == 422)
            let certificate = Base64.encode(try api.authority.certificate.pem())
            let unsigned = await update("status", Self.kubelet) {
                $0.json["status", "certificate"] = .string(certificate)
            }
            #expect(unsigned?.code == 403)
            #expect(
                await update("status", .loopback) { $0.json["status", "certificate"] = .string(certificate) } == nil)
            let replaced = await update("status", .loopback) { $0.json["status", "certificate"] = "AAAA" }
            #expect(replaced?.code == 422)
        }
    }

    /// Runs the three controllers while `body` runs.
    private func withControllers(_ body: @Sendable @escaping (ServedAPI) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            let context = api.controllerContext()
            let loops: [any ControlLoop] = [
                CertificateApprover(
                    context: context,
                    reserved: {
                        ReservedHosts(names: ["kubernetes", "pi"], addresses: [IPAddress(v4: 10, 0, 0, 1)])
                    }, isAllowed: { api.server.isAllowed($0) }),
                CertificateSigningController(context: context, signer: AuthoritySigner { api.authority }),
                SigningRequestCleaner(context: context),
            ]
            try await api.withControllers(context, loops) { try await body(api) }
        }
    }

    /// Waits until a request has a certificate or a failure; the test's own limit ends a wait in vain.
    private func answered(_ name: String, _ api: ServedAPI) async throws -> KubeObject {
        while true {
            let object = try await api.client.get(Self.requests, namespace: nil, name: name)
            if object.status["certificate"]?.string != nil || object.condition("Failed") != nil { return object }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    @Test(.timeLimit(.minutes(2))) func nodesGetTheirCertificatesWithoutAnAdministrator() async throws {
        try await withControllers { api in
            var node = KubeObject(.init("", "v1", "Node"), name: "n1")
            node.status = [
                "addresses": [
                    ["type": "InternalIP", "address": "10.0.0.5"], ["type": "Hostname", "address": "n1"],
                ]
            ]
            _ = try await api.client.create(.nodes, object: node)
            let joining = UserInfo(
                name: "system:bootstrap:abcdef",
                groups: [UserInfo.WellKnown.bootstrappersGroup, UserInfo.WellKnown.authenticatedGroup])
            let client = try Self.object(
                "client", signer: "kube-apiserver-client-kubelet", subject: Self.node, usages: Self.clientUsages,
                seconds: 3600)
            let address = try #require(IPAddress("10.0.0.5"))
            let serving = try Self.object(
                "serving", signer: "kubelet-serving", subject: Self.node,
                names: .init(dnsNames: ["n1"], ipAddresses: [address]), usages: ["digital signature", "server auth"])
            let foreign = try Self.object(
                "foreign", signer: "kubelet-serving", subject: Self.node, names: .init(dnsNames: ["kubernetes"]),
                usages: ["digital signature", "server auth"])
            _ = try await create(client, api, as: joining)
            _ = try await create(foreign, api, as: Self.kubelet)
            _ = try await create(serving, api, as: Self.kubelet)
            let issued = try await Certificate(
                pem: #require(
                    Base64.decode(answered("client", api).status["certificate"]?.string ?? "")))
            #expect(issued.subject == Self.node)
            #expect(issued.validity.notAfter - SystemClock().now <= 3600)
            #expect(issued.issuer == api.authority.certificate.subject)
            let served = try await Certificate(
                pem: #require(
                    Base64.decode(answered("serving", api).status["certificate"]?.string ?? "")))
            #expect(served.alternativeNames.dnsNames == ["n1"])
            // The request before it in the queue was looked at and left alone.
            let waiting = try await api.client.get(Self.requests, namespace: nil, name: "foreign")
            #expect(waiting.condition("Approved") == nil)
        }
    }

    /// A node writes what it reports itself: it can claim anything.
    @Test(
        .timeLimit(.minutes(2)),
        arguments: [
            "10.0.0.1", "10.0.0.6", "kubernetes", "pi", "n2", "web.default.svc", "web.default.svc.cluster.local",
        ])
    func whatBelongsToOthersIsCertifiedToNoNode(claim: String) async throws {
        try await withControllers { api in
            let address = IPAddress(claim)
            let reports = ["n1": ["10.0.0.5", "n1", claim], "n2": ["10.0.0.6", "n2"]]
            for (node, reported) in reports {
                var object = KubeObject(.init("", "v1", "Node"), name: node)
                object.status = [
                    "addresses": .array(reported.map { ["type": "InternalIP", "address": .string($0)] }),
                    "conditions": [["type": "Ready", "status": "True"]],
                ]
                _ = try await api.client.create(.nodes, object: object)
            }
            func ask(_ request: String, _ names: SubjectAlternativeNames) async throws {
                let object = try Self.object(
                    request, signer: "kubelet-serving", subject: Self.node, names: names,
                    usages: ["digital signature", "server auth"])
                _ = try await create(object, api, as: Self.kubelet)
            }
            try await ask(
                "greedy",
                .init(
                    dnsNames: address == nil ? ["n1", claim] : ["n1"], ipAddresses: [address].compactMap { $0 }))
            try await ask("modest", .init(dnsNames: ["n1"], ipAddresses: [IPAddress(v4: 10, 0, 0, 5)]))
            #expect(try await answered("modest", api).condition("Failed") == nil)
            // The request before it in the queue was looked at and left alone.
            let greedy = try await api.client.get(Self.requests, namespace: nil, name: "greedy")
            #expect(greedy.condition("Approved") == nil)
        }
    }

    @Test(.timeLimit(.minutes(2))) func theAddressOfABoardThatIsOffMayBeAnothers() async throws {
        try await withControllers { api in
            for (node, isReady) in [("n1", "True"), ("n2", "Unknown")] {
                var object = KubeObject(.init("", "v1", "Node"), name: node)
                object.status = [
                    "addresses": [["type": "InternalIP", "address": "10.0.0.6"]],
                    "conditions": [["type": "Ready", "status": .string(isReady)]],
                ]
                _ = try await api.client.create(.nodes, object: object)
            }
            let object = try Self.object(
                "moved", signer: "kubelet-serving", subject: Self.node,
                names: .init(dnsNames: ["n1"], ipAddresses: [IPAddress(v4: 10, 0, 0, 6)]),
                usages: ["digital signature", "server auth"])
            _ = try await create(object, api, as: Self.kubelet)
            #expect(try await answered("moved", api).condition("Failed") == nil)
        }
    }

    @Test(.timeLimit(.minutes(2))) func aNodeThatWasRemovedRenewsNothing() async throws {
        try await withControllers { api in
            _ = try await api.client.create(.nodes, object: KubeObject(.init("", "v1", "Node"), name: "n2"))
            func ask(_ node: String) async throws {
                let name = "system:node:\(node)"
                let object = try Self.object(
                    node, signer: "kube-apiserver-client-kubelet",
                    subject: .init(commonName: name, organizations: ["system:nodes"]), usages: Self.clientUsages)
                _ = try await create(object, api, as: UserInfo(name: name, groups: Self.kubelet.groups))
            }
            try await ask("n1")
            try await ask("n2")
            #expect(try await answered("n2", api).condition("Failed") == nil)
            // The request before it in the queue was looked at and left alone.
            let removed = try await api.client.get(Self.requests, namespace: nil, name: "n1")
            #expect(removed.condition("Approved") == nil)
        }
    }

    @Test(.timeLimit(.minutes(2)), .enabled(if: Kubectl.isInstalled))
    func kubectlApprovesAndDenies() async throws {
        try await withControllers { api in
            let kubectl = try Kubectl(api)
            defer { kubectl.remove() }
            for name in ["yes", "no", "wrong"] {
                let usages = name == "wrong" ? ["server auth"] : ["client auth"]
                let object = try Self.object(
                    name, signer: "kube-apiserver-client", subject: .init(commonName: "ann"), usages: usages)
                _ = try await create(object, api, as: Self.kubelet)
            }
            let approved = try await kubectl("certificate", "approve", "yes", "wrong")
            #expect(approved.output.contains("certificates.k8s.io/yes approved"), "\(approved.errors)")
            let denied = try await kubectl("certificate", "deny", "no")
            #expect(denied.output.contains("certificates.k8s.io/no denied"), "\(denied.errors)")
            #expect(try await answered("yes", api).condition("Failed") == nil)
            #expect(try await answered("wrong", api).condition("Failed")?.reason == "SignerValidationFailure")
            let list = try await kubectl("get", "csr").output
            #expect(list.contains("Approved,Issued"), "\(list)")
            #expect(list.contains("Denied"), "\(list)")
        }
    }
}
