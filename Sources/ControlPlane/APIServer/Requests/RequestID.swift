// SPDX-License-Identifier: Apache-2.0

package import Logging
import NIOHTTP1
import Synchronization

/// What tells one request from all others, in log entries and in the answers.
///
/// As upstream (filters/audit_init.go, WithAuditInit), a client may name its request itself in the header `Audit-ID`.
package struct RequestID: Sendable, CustomStringConvertible {
    /// The request that this task works on.
    @TaskLocal package static var current: RequestID?

    /// Adds `request-id` to what is logged while a request is worked on.
    package static let metadataProvider = Logger.MetadataProvider {
        current.map { ["request-id": .string($0.description)] } ?? [:]
    }

    static let header = "Audit-Id"
    /// Longer names are cut off.
    private static let longestName = 64

    /// Tells this run of the agent from others; the beginning of the names.
    private static let run = String(UInt32.random(in: .min ... .max), radix: 16) + "-"
    private static let count = Atomic<UInt64>(0)

    private let number: UInt64
    /// Only who tells of a request looks for its name in them.
    private let headers: HTTPHeaders

    init(_ headers: HTTPHeaders) {
        number = Self.count.add(1, ordering: .relaxed).newValue
        self.headers = headers
    }

    package var description: String {
        if let name = headers.first(name: Self.header) {
            let plain = name.utf8.prefix(Self.longestName).filter { $0 > 0x20 && $0 < 0x7F }
            if !plain.isEmpty { return String(decoding: plain, as: UTF8.self) }
        }
        return Self.run + String(number)
    }
}
