// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import PKI
import Storage

/// Where a page of a list ended, opaque to clients (upstream: `apiserver/pkg/storage/continue.go`).
struct ContinueToken: Hashable, Sendable {
    /// The revision of the list; nil when the rest is read from whatever state is newest.
    var revision: Revision?
    /// The last key of the page, without the list's prefix.
    var last: String

    private static let apiVersion = "meta.k8s.io/v1"

    var text: String {
        let json: JSON = ["v": .string(Self.apiVersion), "rv": .int(revision ?? -1), "start": .string(last + "\0")]
        return Base64.encode(json.serialized(), .url)
    }

    init(revision: Revision?, last: String) {
        self.revision = revision
        self.last = last
    }

    /// - Throws: `BadRequest` for a text that no server gave out.
    init(parsing text: String) throws(StatusError) {
        let unpadded = text.filter { $0 != "=" }
        // What exactly is wrong with an opaque token means nothing to a client.
        guard let bytes = Base64.decode(unpadded, .url), let json = try? JSON.parse(bytes),
            json["v"]?.string == Self.apiVersion, let start = json["start"]?.string, start.hasSuffix("\0"),
            let number = json["rv"]?.int
        else { throw .badRequest("continue key is not valid: illegal base64 data or unknown version") }
        guard !start.split(separator: "/", omittingEmptySubsequences: false).contains("..") else {
            throw .badRequest("continue key is not valid: \(start)")
        }
        revision = number > 0 ? Revision(number) : nil
        last = String(start.dropLast())
    }
}
