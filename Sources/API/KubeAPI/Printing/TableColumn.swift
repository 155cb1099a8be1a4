// SPDX-License-Identifier: Apache-2.0

package import JSON

/// A column of a table (meta/v1 TableColumnDefinition).
package struct TableColumn: Hashable, Sendable {
    package var name: String
    /// `string`, `integer`, `boolean` or `date`.
    package var type: String
    /// `name` for the column that holds the object's name.
    package var format: String
    package var description: String
    /// Columns above 0 are shown by `-o wide` only.
    package var priority: Int

    package init(
        _ name: String, type: String = "string", format: String = "", priority: Int = 0, description: String = ""
    ) {
        self.name = name
        self.type = type
        self.format = format
        self.description = description
        self.priority = priority
    }

    package var json: JSON {
        [
            "name": .string(name), "type": .string(type), "format": .string(format),
            "description": .string(description), "priority": JSON(priority),
        ]
    }

    /// Columns from their names, separated by `|`; after a name `:` gives the type and `*` makes the column wide.
    /// `Name` is always the object's name.
    static func list(_ text: String) -> [TableColumn] {
        text.split(separator: "|").map { part in
            var part = part
            let isWide = part.last == "*"
            if isWide { part.removeLast() }
            let pieces = part.split(separator: ":", maxSplits: 1)
            let name = String(pieces[0])
            return TableColumn(
                name, type: pieces.count > 1 ? String(pieces[1]) : "string", format: name == "Name" ? "name" : "",
                priority: isWide ? 1 : 0, description: descriptions[name] ?? "")
        }
    }

    private static let descriptions = [
        "Name": "The name of the object, unique within its namespace and kind.",
        "Age": "The time since the object was created.",
        "Created At": "The time at which the object was created.",
        "Containers": "The names of the containers.",
        "Images": "The images of the containers.",
        "Selector": "The labels of the pods that belong to the object.",
    ]
}

/// An object that becomes a row, with what printers read from it.
struct PrintedObject {
    let json: JSON
    let now: KubeTime

    var metadata: JSON? { json["metadata"] }
    var spec: JSON? { json["spec"] }
    var status: JSON? { json["status"] }
    var name: JSON { .string(metadata?["name"]?.string ?? "") }
    var age: JSON { .string(since(metadata?["creationTimestamp"])) }
    var isBeingDeleted: Bool { metadata?["deletionTimestamp"]?.string != nil }
    var podSpec: JSON? { spec?["template"]?["spec"] }

    /// The time since a timestamp; `<unknown>` without one.
    func since(_ timestamp: JSON?) -> String {
        guard let time = timestamp?.string.flatMap({ KubeTime($0) }) else { return "<unknown>" }
        return HumanDuration.text(seconds: now.timeInterval(since: time))
    }

    /// The names and images of containers.
    func containers(_ podSpec: JSON?) -> [JSON] {
        let containers = podSpec?["containers"]?.elements ?? []
        return ["name", "image"].map { key in
            .string(containers.map { $0[key]?.string ?? "" }.joined(separator: ","))
        }
    }

    /// The text of a LabelSelector; `<none>` if it is empty.
    func selector(_ json: JSON?) -> JSON {
        guard let selector = try? LabelSelector(json: json) else { return "<error>" }
        let text = selector.description
        return .string(text.isEmpty ? "<none>" : text)
    }

    /// A map of labels; `<none>` if it is empty.
    func labels(_ json: JSON?) -> JSON {
        let text = (json?.stringMap ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        return .string(text.isEmpty ? "<none>" : text.joined(separator: ","))
    }

    func string(_ json: JSON?, else fallback: String = "") -> JSON {
        guard let text = json?.string, !text.isEmpty else { return .string(fallback) }
        return .string(text)
    }

    /// A text or number, as for quantities and IntOrString.
    func text(_ json: JSON?, else fallback: String) -> String {
        switch json {
        case .string(let text)?: text
        case let number?: number.double == nil ? fallback : number.text()
        case nil: fallback
        }
    }

    func integer(_ json: JSON?, else fallback: Int = 0) -> JSON { JSON(json?.int ?? fallback) }
    func count(_ json: JSON?) -> Int { json?.array?.count ?? json?.object?.count ?? 0 }

    /// The value of `status` of a condition; nil if the object does not have it.
    func condition(_ type: String) -> JSON? {
        status?["conditions"]?.elements.first { $0["type"]?.string == type }
    }

    /// At most three of a list, and how many more there are.
    func shortened(_ list: [String]) -> String {
        if list.isEmpty { return "<unset>" }
        let shown = list.prefix(3).joined(separator: ",")
        return list.count > 3 ? "\(shown) + \(list.count - 3) more..." : shown
    }
}
