// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Synchronization

/// Counts requests for `/metrics` (Prometheus text format), under upstream's names.
final class RequestMetrics: Sendable {
    private struct Key: Hashable, Comparable {
        let verb: String
        let group: String
        let resource: String
        let code: Int

        static func < (left: Key, right: Key) -> Bool {
            (left.group, left.resource, left.verb, left.code) < (right.group, right.resource, right.verb, right.code)
        }
    }

    /// Combinations beyond this number are counted as "other": nobody may fill the memory with made-up names.
    private static let maximumKeys = 2048
    private let counts = Mutex<[Key: Int]>([:])

    func count(_ info: RequestInfo, code: Int) {
        let isKnown = info.isResourceRequest && code != 404
        let key = Key(
            verb: info.verb.uppercased(), group: isKnown ? info.groupVersion.group : "",
            resource: isKnown ? info.resource : "", code: code)
        counts.withLock { counts in
            if counts.count >= Self.maximumKeys, counts[key] == nil {
                counts[Key(verb: "other", group: "", resource: "", code: code), default: 0] += 1
            } else {
                counts[key, default: 0] += 1
            }
        }
    }

    func text(inFlight: (reading: Int, mutating: Int), revision: Int64) -> String {
        var lines = [
            "# HELP apiserver_request_total Counter of apiserver requests broken out for each verb, group, resource "
                + "and HTTP response code.",
            "# TYPE apiserver_request_total counter",
        ]
        for (key, count) in counts.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
            lines.append(
                "apiserver_request_total{code=\"\(key.code)\",group=\"\(key.group)\",resource=\"\(key.resource)\","
                    + "verb=\"\(key.verb)\"} \(count)")
        }
        lines += [
            "# HELP apiserver_current_inflight_requests Requests that are worked on now.",
            "# TYPE apiserver_current_inflight_requests gauge",
            "apiserver_current_inflight_requests{request_kind=\"readOnly\"} \(inFlight.reading)",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} \(inFlight.mutating)",
            "# HELP apiserver_storage_revision The newest revision of the store.",
            "# TYPE apiserver_storage_revision gauge",
            "apiserver_storage_revision \(revision)",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}
