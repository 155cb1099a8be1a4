// SPDX-License-Identifier: Apache-2.0

package import JSON

extension KubeProtobuf {
    /// The protobuf form of an object with `kind` and `apiVersion`.
    ///
    /// - Throws: for custom kinds, which have none, and for values that do not fit their types.
    package static func encode(_ json: JSON) throws(ProtobufError) -> [UInt8] {
        let kind = json["kind"]?.string ?? ""
        let apiVersion = json["apiVersion"]?.string ?? ""
        return try envelope(apiVersion, kind) { (encoder) throws(ProtobufError) in
            if let message = PartialMetadata(rawValue: kind), apiVersion.hasPrefix("meta.k8s.io/") {
                return try encoder.encode(message, json)
            }
            try encoder.encodeFields(of: json.members, as: try definition(apiVersion, kind))
        }
    }

    /// The protobuf form of a watch's event in its frame: four bytes of length, most significant first, and a bare
    /// `WatchEvent {type = 1, object = 2 {raw = 1}}` whose object is in an envelope.
    ///
    /// - Parameter object: what ``encode(_:)`` made of the object.
    package static func watchFrame(type: String, object: [UInt8]) -> [UInt8] {
        var event = ProtobufWriter()
        event.text(1, type)
        let start = event.beginMessage(2)
        event.data(1, object)
        event.endMessage(start)
        let length = UInt32(event.bytes.count)
        return (0..<4).map { UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32($0))) } + event.bytes
    }

    static func definition(_ apiVersion: String, _ kind: String) throws(ProtobufError) -> Int {
        guard let version = GroupVersion(apiVersion: apiVersion),
            let definition = Schema.type(for: version.kind(kind))?.definition
        else { throw ProtobufError("no kind \"\(kind)\" is registered for version \"\(apiVersion)\" in protobuf") }
        return definition
    }

    static func envelope(
        _ apiVersion: String, _ kind: String, _ body: (inout ProtobufEncoder) throws(ProtobufError) -> Void
    ) throws(ProtobufError) -> [UInt8] {
        var encoder = ProtobufEncoder()
        encoder.writer.append(magic)
        let type = encoder.writer.beginMessage(1)
        encoder.writer.text(1, apiVersion)
        encoder.writer.text(2, kind)
        encoder.writer.endMessage(type)
        let raw = encoder.writer.beginMessage(2)
        try body(&encoder)
        encoder.writer.endMessage(raw)
        // Upstream writes both, empty.
        encoder.writer.text(3, "")
        encoder.writer.text(4, "")
        return encoder.writer.bytes
    }

    /// The meta/v1 kinds that show any object, also of custom kinds, by its metadata alone.
    enum PartialMetadata: String {
        case object = "PartialObjectMetadata"
        case list = "PartialObjectMetadataList"
    }
}

extension ProtobufEncoder {
    fileprivate mutating func encode(_ kind: KubeProtobuf.PartialMetadata, _ json: JSON) throws(ProtobufError) {
        switch kind {
        case .object: try encodeMetadata(json["metadata"] ?? [:])
        case .list:
            try encodeListMetadata(json["metadata"] ?? [:])
            for item in json["items"]?.elements ?? [] {
                let start = writer.beginMessage(2)
                try encodeMetadata(item["metadata"] ?? [:])
                writer.endMessage(start)
            }
        }
    }

    /// meta/v1 ObjectMeta as field 1.
    private mutating func encodeMetadata(_ json: JSON) throws(ProtobufError) {
        guard let definition = Schema.objectMeta?.definition else { return }
        let start = writer.beginMessage(1)
        try encodeFields(of: json.members, as: definition)
        writer.endMessage(start)
    }

    /// meta/v1 ListMeta as field 1.
    fileprivate mutating func encodeListMetadata(_ json: JSON) throws(ProtobufError) {
        guard let definition = Schema.type(named: "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta")?.definition else {
            return
        }
        let start = writer.beginMessage(1)
        try encodeFields(of: json.members, as: definition)
        writer.endMessage(start)
    }
}

/// Encodes a list item by item, so that only one of them is in memory as JSON.
///
/// Every list of Kubernetes has its metadata in field 1 and its items in field 2.
package struct ProtobufListEncoder {
    private let apiVersion: String
    private let listKind: String
    private let definition: Int
    private var items = ProtobufEncoder()

    /// - Parameter kind: the kind of the items.
    package init(of kind: GroupVersionKind, listKind: String) throws(ProtobufError) {
        apiVersion = kind.groupVersion.description
        self.listKind = listKind
        definition = try KubeProtobuf.definition(apiVersion, kind.kind)
    }

    package mutating func append(_ item: JSON) throws(ProtobufError) {
        let start = items.writer.beginMessage(2)
        try items.encodeFields(of: item.members, as: definition)
        items.writer.endMessage(start)
    }

    /// The whole list.
    ///
    /// - Parameter metadata: meta/v1 ListMeta.
    package consuming func finish(metadata: JSON) throws(ProtobufError) -> [UInt8] {
        let items = items.writer.bytes
        return try KubeProtobuf.envelope(apiVersion, listKind) { (encoder) throws(ProtobufError) in
            try encoder.encodeListMetadata(metadata)
            encoder.writer.append(items)
        }
    }
}
