// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Shows objects as a server-side table (meta/v1 Table).
enum TablePresentation {
    static func table(
        _ objects: [KubeObject], _ served: ServedResource, metadata: JSON, version: String, includeObject: String,
        hasColumns: Bool, now: Int64
    ) -> JSON {
        var rows: [JSON] = []
        for object in objects {
            var row: JSON = ["cells": [.string(object.name), .string(object.creationTimestamp ?? "")]]
            switch includeObject {
            case "None": break
            case "Object": row["object"] = object.json
            default: row["object"] = Presentation.metadata(object, version: version)
            }
            rows.append(row)
        }
        return [
            "kind": "Table", "apiVersion": .string("meta.k8s.io/\(version)"), "metadata": metadata,
            "columnDefinitions": hasColumns
                ? [
                    ["name": "Name", "type": "string", "format": "name", "description": "", "priority": 0],
                    ["name": "Created At", "type": "date", "format": "", "description": "", "priority": 0],
                ] : [],
            "rows": .array(rows),
        ]
    }
}
