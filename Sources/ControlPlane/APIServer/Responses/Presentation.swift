// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import Storage

/// Shows objects in the form that a client asked for.
struct Presentation: Sendable {
    let negotiated: Negotiated
    let served: ServedResource
    /// `includeObject` of a table: `None`, `Metadata` (also empty) or `Object`.
    let includeObject: String
    /// The present, for ages.
    let now: Int64

    /// Whether stored bytes can be sent as they are.
    var isVerbatim: Bool { negotiated.representation == .object && !negotiated.isProtobuf && served.servesStoredBytes }

    func response(_ object: KubeObject, stored: [UInt8]?, code: Int) throws(StatusError) -> HTTPResponse {
        if isVerbatim, let stored { return Responses.bytes(stored, code: code, type: negotiated.contentType) }
        return try Responses.object(try json(object), code: code, in: negotiated)
    }

    /// One object in the wanted form.
    func json(_ object: KubeObject) throws(StatusError) -> JSON {
        switch negotiated.representation {
        case .object: return object.json
        case .metadata(let version): return Self.metadata(object, version: version)
        case .table(let version):
            return table(
                [object], metadata: ["resourceVersion": .string(object.resourceVersion)], version: version,
                hasColumns: true)
        }
    }

    /// A page of a list in the wanted form.
    func list(_ page: ListPage, _ registry: Registry) throws(StatusError) -> ByteBuffer {
        if isVerbatim { return ListBody.assemble(page, served) }
        if negotiated.isProtobuf { return ByteBuffer(bytes: try protobufList(page, registry)) }
        var objects: [KubeObject] = []
        objects.reserveCapacity(page.values.count)
        for value in page.values { objects.append(try registry.decode(value, as: served)) }
        switch negotiated.representation {
        case .object:
            let items = objects.map { object in
                var json = object.json
                json["kind"] = nil
                json["apiVersion"] = nil
                return json
            }
            return ListBody.assemble(
                page, items: items, kind: served.info.listKind,
                apiVersion: served.kind.groupVersion.description)
        case .metadata(let version):
            return ListBody.assemble(
                page, items: objects.map { Self.metadata($0, version: version) }, kind: "PartialObjectMetadataList",
                apiVersion: "meta.k8s.io/\(version)")
        case .table(let version):
            let json = table(objects, metadata: ListBody.metadata(page), version: version, hasColumns: true)
            return ByteBuffer(bytes: json.serialized())
        }
    }

    /// meta/v1 PartialObjectMetadata.
    static func metadata(_ object: KubeObject, version: String) -> JSON {
        [
            "kind": "PartialObjectMetadata", "apiVersion": .string("meta.k8s.io/\(version)"),
            "metadata": object.metadata,
        ]
    }

    /// - Parameter hasColumns: whether the column definitions are sent; a watch sends them once.
    func table(_ objects: [KubeObject], metadata: JSON, version: String, hasColumns: Bool) -> JSON {
        TablePresentation.table(
            objects, served, metadata: metadata, version: version, includeObject: includeObject,
            hasColumns: hasColumns, now: now)
    }
}
