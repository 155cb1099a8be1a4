// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Shows objects as a server-side table (meta/v1 Table).
enum TablePresentation {
    static func table(
        _ objects: [KubeObject], _ served: ServedResource, metadata: JSON, version: String, includeObject: String,
        hasColumns: Bool, now: Int64
    ) -> JSON {
        var table = TablePrinter.of(served.kind).table(
            objects.map(\.json), metadata: metadata, now: KubeTime(seconds: Int(now)),
            include: .init(rawValue: includeObject) ?? .metadata, withColumns: hasColumns)
        if version != "v1" { table["apiVersion"] = .string("meta.k8s.io/\(version)") }
        return table
    }
}
