// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOHTTP1

/// Serves the documents by which clients find out what the API offers.
struct DiscoveryPaths: Sendable {
    let table: ResourceTable

    /// Whether a path is one of these documents'.
    func knows(_ path: String) -> Bool {
        path == "/" || path == "/api" || path == "/apis" || path.hasPrefix("/api/") || path.hasPrefix("/apis/")
            || path.hasPrefix("/openapi/")
    }

    /// The document at a path, nil if there is none.
    func answer(_ call: APICall) throws(StatusError) -> HTTPResponse? {
        nil
    }
}
