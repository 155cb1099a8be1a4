// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
import Logging
import NIOCore
import NIOHTTP1
import OCISpec
import Synchronization

/// A manifest or index as a registry gave it.
struct FetchedManifest: Sendable {
    let bytes: [UInt8]
    let mediaType: String
    let digest: Digest
}

/// Reads one repository by the distribution API (distribution-spec 1.1, "Pull"), from the first of its servers that
/// can serve it. Lives for one pull.
final class RegistryClient: Sendable {
    private let connections: [RegistryConnection]
    private let reference: ImageReference
    private let timeouts: RegistryConfiguration.Timeouts
    private let limits: ImageLimits
    private let logger: Logger
    /// Servers that could not be reached; the others are asked first from then on.
    private let unreachable = Mutex<Set<Int>>([])

    /// Interruptions of one blob's transfer that are mended, however far each attempt gets.
    static let maximumResumptions = 100

    static let manifestTypes = [
        MediaType.ociManifest, MediaType.dockerManifest, MediaType.ociIndex, MediaType.dockerManifestList,
    ]

    init(
        reference: ImageReference, credentials: RegistryCredentials, configuration: RegistryConfiguration,
        limits: ImageLimits, client: HTTPClient, logger: Logger
    ) throws(ImageError) {
        var connections: [RegistryConnection] = []
        for endpoint in configuration.servers(for: reference.domain) {
            connections.append(
                try RegistryConnection(
                    endpoint: endpoint, reference: reference, credentials: credentials,
                    timeouts: configuration.timeouts, client: client, logger: logger))
        }
        self.connections = connections
        self.reference = reference
        self.limits = limits
        self.logger = logger
        timeouts = configuration.timeouts
    }

    /// An HTTP client for one pull.
    ///
    /// HTTP/1.1 only: layers come faster by a connection each than by streams that share one flow-control window.
    static func makeHTTPClient(_ timeouts: RegistryConfiguration.Timeouts) -> HTTPClient {
        var configuration = HTTPClient.Configuration(
            redirectConfiguration: .disallow,
            timeout: .init(connect: TimeAmount(timeouts.connect), read: TimeAmount(timeouts.idle)))
        configuration.httpVersion = .http1Only
        // A refused connection is told at once: our own retries, and the caller's back-off, decide what follows.
        configuration.connectionPool.retryConnectionEstablishment = false
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }
}

// MARK: - Documents

extension RegistryClient {
    /// The manifest or index of a tag or digest.
    func manifest(_ tagOrDigest: String) async throws(ImageError) -> FetchedManifest {
        let wanted = try tagOrDigest.contains(":") ? Digest(tagOrDigest) : nil
        let (bytes, mediaType) = try await document(
            "manifests/\(tagOrDigest)", accept: Self.manifestTypes, limit: limits.manifestBytes)
        let digest = Digest(of: bytes)
        if let wanted, digest != wanted { throw Self.mismatch("manifest", wanted, digest) }
        return FetchedManifest(bytes: bytes, mediaType: mediaType, digest: digest)
    }

    /// A small blob, a configuration.
    func blob(_ descriptor: Descriptor) async throws(ImageError) -> [UInt8] {
        let wanted = try Digest(descriptor.digest)
        guard descriptor.size <= Int64(limits.configurationBytes) else {
            throw ImageError(.malformed, "", "the configuration has \(descriptor.size) bytes, which is too many")
        }
        let (bytes, _) = try await document("blobs/\(wanted)", accept: [], limit: Int(descriptor.size))
        let digest = Digest(of: bytes)
        guard digest == wanted else { throw Self.mismatch("blob", wanted, digest) }
        return bytes
    }

    static func mismatch(_ what: String, _ wanted: Digest, _ found: Digest) -> ImageError {
        ImageError(
            .digestMismatch, "", "the \(what) \(wanted) has the content of \(found)",
            remedy: "the registry, a mirror or a proxy on the way has damaged it; try again or ask its owner")
    }

    private func document(
        _ path: String, accept: [String], limit: Int
    ) async throws(ImageError) -> (bytes: [UInt8], mediaType: String) {
        var headers = HTTPHeaders()
        for type in accept { headers.add(name: "Accept", value: type) }
        return try await fromServers { connection throws(AttemptFailure) in
            let response = try await connection.get(path, headers: headers)
            let body: ByteBuffer
            do {
                body = try await response.body.collect(upTo: limit)
            } catch is NIOTooManyBytesError {
                throw AttemptFailure(ImageError(.malformed, "", "\(path) has more than \(limit) bytes"))
            } catch {
                throw connection.transportFailure(error)
            }
            let type = response.headers.first(name: "Content-Type") ?? ""
            return (Array(body.readableBytesView), String(type.prefix { $0 != ";" }))
        }
    }

    /// Runs `request` on each server in turn, with new attempts, until one succeeds.
    private func fromServers<Result>(
        _ request: (RegistryConnection) async throws(AttemptFailure) -> Result
    ) async throws(ImageError) -> Result {
        var failures: [ImageError] = []
        for (index, connection) in orderedConnections() {
            var policy = RetryPolicy(timeouts)
            while true {
                do {
                    return try await request(connection)
                } catch {
                    if try await waitBeforeRetry(&policy, error, connection) { continue }
                    note(error, index)
                    failures.append(error.error)
                    break
                }
            }
        }
        throw Self.combined(failures)
    }

    private func orderedConnections() -> [(Int, RegistryConnection)] {
        let bad = unreachable.withLock { $0 }
        let all = connections.enumerated().map { ($0.offset, $0.element) }
        return all.filter { !bad.contains($0.0) } + all.filter { bad.contains($0.0) }
    }

    private func note(_ failure: AttemptFailure, _ index: Int) {
        if failure.error.kind == .unavailable { unreachable.withLock { _ = $0.insert(index) } }
    }

    /// Waits as the policy says; false to give up.
    private func waitBeforeRetry(
        _ policy: inout RetryPolicy, _ failure: AttemptFailure, _ connection: RegistryConnection
    ) async throws(ImageError) -> Bool {
        if Task.isCancelled { throw ImageError(.unavailable, "", "the pull was cancelled") }
        guard let delay = policy.delay(after: failure, jitter: .random(in: 0...1)) else { return false }
        logger.debug(
            "retrying a registry request",
            metadata: [
                "registry": "\(connection.endpoint.url)", "reason": "\(failure.error.reason)", "delay": "\(delay)",
            ])
        do {
            try await Task.sleep(for: delay)
        } catch {
            throw ImageError(.unavailable, "", "the pull was cancelled")
        }
        return true
    }

    /// The failure that says most: a refusal or a definite absence before a server that could not be reached.
    private static func combined(_ failures: [ImageError]) -> ImageError {
        let order: [ImageError.Kind] = [.digestMismatch, .unauthorized, .notFound, .malformed, .unavailable]
        for kind in order {
            let matching = failures.filter { $0.kind == kind }
            guard let last = matching.last else { continue }
            let reasons = matching.map(\.reason).joined(separator: "; ")
            return ImageError(kind, "", reasons, remedy: last.remedy)
        }
        return failures.last ?? ImageError(.unavailable, "", "no server is configured for the registry")
    }
}

// MARK: - Layers

extension RegistryClient {
    /// Streams a blob to `consume`, piece by piece in order; an interrupted transfer goes on where it stopped.
    ///
    /// The length is checked here, the digest by the consumer, which sees every byte anyway.
    func download(
        _ descriptor: Descriptor, _ consume: (ByteBuffer) async throws(ImageError) -> Void
    ) async throws(ImageError) {
        let digest = try Digest(descriptor.digest)
        var transfer = BlobTransfer(path: "blobs/\(digest)", size: UInt64(clamping: descriptor.size))
        var failures: [ImageError] = []
        var resumptions = 0
        for (index, connection) in orderedConnections() {
            var policy = RetryPolicy(timeouts)
            while true {
                let before = transfer.offset
                guard let failure = try await transfer.run(connection, consume) else { return }
                if transfer.offset > before { policy.reset() }
                resumptions += 1
                if resumptions <= Self.maximumResumptions,
                    try await waitBeforeRetry(&policy, failure, connection)
                {
                    continue
                }
                note(failure, index)
                failures.append(failure.error)
                break
            }
        }
        throw Self.combined(failures)
    }
}

/// The progress of one blob.
private struct BlobTransfer {
    let path: String
    let size: UInt64
    /// Bytes consumed so far.
    var offset: UInt64 = 0

    init(path: String, size: UInt64) {
        self.path = path
        self.size = size
    }

    /// Requests what is missing; returns nil when all is there, or why not.
    mutating func run(
        _ connection: RegistryConnection, _ consume: (ByteBuffer) async throws(ImageError) -> Void
    ) async throws(ImageError) -> AttemptFailure? {
        var headers = HTTPHeaders()
        if offset > 0 { headers.add(name: "Range", value: "bytes=\(offset)-") }
        let response: HTTPClientResponse
        do {
            response = try await connection.get(path, headers: headers)
        } catch {
            return error
        }
        // A server may ignore the range and send all of it again.
        var surplus = response.status.code == 206 ? 0 : offset
        if response.status.code == 206, !startsAtOffset(response) {
            return AttemptFailure(
                ImageError(.unavailable, "", "\(path): the registry sent another range than asked for"))
        }
        var body = response.body.makeAsyncIterator()
        while true {
            let next: ByteBuffer?
            do {
                next = try await body.next()
            } catch {
                return connection.transportFailure(error)
            }
            guard var piece = next else { break }
            let skipped = min(surplus, UInt64(piece.readableBytes))
            piece.moveReaderIndex(forwardBy: Int(skipped))
            surplus -= skipped
            if piece.readableBytes == 0 { continue }
            try await consume(piece)
            offset += UInt64(piece.readableBytes)
        }
        if offset >= size { return nil }
        let reason = "\(path): the registry sent \(offset) of \(size) bytes"
        return AttemptFailure(ImageError(.unavailable, "", reason), isTemporary: true)
    }

    /// Whether `Content-Range: bytes FIRST-LAST/SIZE` begins where we asked.
    private func startsAtOffset(_ response: HTTPClientResponse) -> Bool {
        guard offset > 0 else { return true }
        let range = response.headers.first(name: "Content-Range") ?? ""
        guard range.hasPrefix("bytes ") else { return false }
        return UInt64(range.dropFirst(6).prefix { $0 != "-" }) == offset
    }
}
