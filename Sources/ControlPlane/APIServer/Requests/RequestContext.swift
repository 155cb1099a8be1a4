// SPDX-License-Identifier: Apache-2.0

package import KubeAPI
import Synchronization

/// What the registry must know of a request besides its object.
package struct RequestContext: Sendable {
    package var user: UserInfo
    /// Who owns the fields of a write that names no manager: the client's name from its User-Agent.
    package var defaultManager: String
    /// Whether the request comes from the agent itself: what it grants to others it need not hold.
    package var isTrusted = false
    package let warnings: Warnings

    package init(user: UserInfo, defaultManager: String = "unknown", warnings: Warnings = Warnings()) {
        self.user = user
        self.defaultManager = defaultManager
        self.warnings = warnings
    }

    /// The name before the slash of a User-Agent, as upstream names the manager of unnamed writers.
    static func manager(ofUserAgent agent: String?) -> String {
        let name = agent?.prefix { $0 != "/" } ?? ""
        return name.isEmpty ? "unknown" : String(name.prefix(128))
    }
}

/// The warnings that a request collects for its `Warning` headers.
package final class Warnings: Sendable {
    /// Warnings beyond this number are dropped.
    private static let maximumCount = 64
    private let texts = Mutex<[String]>([])

    package init() {}

    package func add(_ text: String) {
        texts.withLock { texts in
            if texts.count < Self.maximumCount, !texts.contains(text) { texts.append(text) }
        }
    }

    package var all: [String] { texts.withLock { $0 } }
}
