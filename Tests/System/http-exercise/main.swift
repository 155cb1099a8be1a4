// SPDX-License-Identifier: Apache-2.0

// Serves one object of 1 KB over TLS, for measurements with wrk.

import HTTPTransport
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import PKI

private struct OneObject: HTTPHandler {
    private let body = ByteBuffer(repeating: 0x61, count: 1_300)

    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? {
        guard request.uri == "/immediate" else { return nil }
        return HTTPResponse(status: .ok, headers: ["Content-Type": "application/json"], body: .bytes(body))
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        HTTPResponse(status: .ok, headers: ["Content-Type": "application/json"], body: .bytes(body))
    }
}

private func makeTLS() throws -> HTTPServerTLS {
    let validity = Validity(notBefore: 1_700_000_000, notAfter: 4_000_000_000)
    let authority = try CertificateAuthority.create(subject: .init(commonName: "exercise"), validity: validity)
    let key = try PrivateKey.generate()
    let certificate = try authority.issue(
        CertificateProfile(
            subject: .init(commonName: "server"), alternativeNames: .init(dnsNames: ["localhost"]),
            purposes: [.server], validity: validity),
        for: key.publicKey())
    return try HTTPServerTLS(
        .init(
            certificateChain: certificate.pem(), privateKey: key.pem(),
            clientAuthorities: authority.certificate.pem()))
}

let threads = CommandLine.arguments.count > 1 ? Int(CommandLine.arguments[1]) ?? 2 : 2
let server = HTTPServer(
    handler: OneObject(), placement: .eventLoop, group: MultiThreadedEventLoopGroup(numberOfThreads: threads),
    logger: Logger(label: "exercise"))
let address = try await server.bind(host: "127.0.0.1", port: 0, tls: try makeTLS())
print("https://localhost:\(address.port ?? 0)/immediate")
await server.run()
