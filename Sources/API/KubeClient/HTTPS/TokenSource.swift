// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Synchronization

/// The bearer token that goes with each request.
final class TokenSource: Sendable {
    private static let maximumBytes = 64 << 10

    private let token: HTTPSClientConfiguration.Token
    private let lifetime: Duration
    private let cached = Mutex<(value: String, readAt: ContinuousClock.Instant)?>(nil)

    init(_ token: HTTPSClientConfiguration.Token, lifetime: Duration) {
        self.token = token
        self.lifetime = lifetime
    }

    /// The present token; the last good one where the file cannot be read just now.
    func current() throws(SystemError) -> String? {
        switch token {
        case .none: return nil
        case .value(let value): return value
        case .file(let path):
            let now = ContinuousClock.now
            let known = cached.withLock { $0 }
            if let known, now - known.readAt < lifetime { return known.value }
            do {
                let bytes = try FileDescriptor.open(reading: path).bytes(limit: Self.maximumBytes, path)
                let value = String(decoding: bytes.filter { $0 > 0x20 && $0 < 0x7F }, as: UTF8.self)
                cached.withLock { $0 = (value, now) }
                return value
            } catch {
                guard let known else { throw error }
                return known.value
            }
        }
    }

    /// Makes the next request read the file again: the server has refused the token.
    func forget() { cached.withLock { $0 = nil } }
}
