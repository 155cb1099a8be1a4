// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Server-side tables (meta.k8s.io/v1 Table): what `kubectl get` shows.
///
/// Columns and cells are those of upstream's printers; all columns are always there, and clients hide those of
/// priority 1.
package struct TablePrinter: Sendable {
    /// What a row carries of its object (the request's `includeObject`).
    package enum Inclusion: String, Hashable, Sendable {
        case none = "None"
        case metadata = "Metadata"
        case object = "Object"
    }

    typealias Cells = @Sendable (PrintedObject) -> [JSON]

    package let columns: [TableColumn]
    private let cells: Cells
    private let conditions: @Sendable (PrintedObject) -> JSON?

    init(
        _ columns: String, conditions: @escaping @Sendable (PrintedObject) -> JSON? = { _ in nil },
        cells: @escaping Cells
    ) {
        self.columns = TableColumn.list(columns)
        self.conditions = conditions
        self.cells = cells
    }

    /// The printer of a built-in kind; name and creation time for those without a printer of their own.
    package static func of(_ kind: GroupVersionKind) -> TablePrinter {
        table["\(kind.group)/\(kind.kind)"] ?? plain
    }

    /// Name and age, for custom kinds that declare no columns.
    package static let custom = TablePrinter("Name|Age:date") { [$0.name, $0.age] }

    /// Name and time of creation.
    private static let plain = TablePrinter("Name|Created At:date") {
        [$0.name, .string($0.metadata?["creationTimestamp"]?.string ?? "<unknown>")]
    }

    private static let table: [String: TablePrinter] =
        corePrinters
        .merging(workloadPrinters) { $1 }
        .merging(networkPrinters) { $1 }
        .merging(storagePrinters) { $1 }
        .merging(policyPrinters) { $1 }

    /// One row.
    package func row(_ object: JSON, now: KubeTime, include: Inclusion = .metadata) -> JSON {
        let printed = PrintedObject(json: object, now: now)
        var row: JSON = ["cells": .array(cells(printed))]
        if let conditions = conditions(printed) { row["conditions"] = conditions }
        row["object"] = Self.included(object, include)
        return row
    }

    /// A table of objects.
    ///
    /// - Parameters:
    ///   - metadata: the list's `metadata`: `resourceVersion`, `continue`, `remainingItemCount`.
    ///   - withColumns: whether the columns are described; in a watch only the first table does.
    package func table(
        _ objects: [JSON], metadata: JSON = [:], now: KubeTime, include: Inclusion = .metadata,
        withColumns: Bool = true
    ) -> JSON {
        [
            "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata,
            "columnDefinitions": withColumns ? .array(columns.map(\.json)) : .null,
            "rows": .array(objects.map { row($0, now: now, include: include) }),
        ]
    }

    private static func included(_ object: JSON, _ include: Inclusion) -> JSON {
        switch include {
        case .none: .null
        case .object: object
        case .metadata:
            [
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": object["metadata"] ?? [:],
            ]
        }
    }
}
