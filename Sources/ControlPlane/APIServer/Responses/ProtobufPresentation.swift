// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOHTTP1
import Storage

extension Presentation {
    /// A page of a list in protobuf: the objects, one after the other, or their metadata.
    func protobufList(_ page: ListPage, _ registry: Registry) throws(StatusError) -> [UInt8] {
        do {
            if case .metadata(let version) = negotiated.representation {
                let items = try page.values.map { value in
                    Self.metadata(try registry.decode(value, as: served), version: version)
                }
                return try KubeProtobuf.encode([
                    "kind": "PartialObjectMetadataList", "apiVersion": .string("meta.k8s.io/\(version)"),
                    "metadata": ListBody.metadata(page), "items": .array(items),
                ])
            }
            var encoder = try ProtobufListEncoder(of: served.kind, listKind: served.info.listKind)
            for value in page.values { try encoder.append(try registry.decode(value, as: served).json) }
            return try encoder.finish(metadata: ListBody.metadata(page))
        } catch {
            throw StatusTranslation.status(of: error)
        }
    }
}

extension Responses {
    /// An object with its type, in the form that was negotiated.
    static func object(_ json: JSON, code: Int = 200, in form: Negotiated) throws(StatusError) -> HTTPResponse {
        guard form.isProtobuf else { return self.json(json, code: code, type: form.contentType) }
        do throws(ProtobufError) {
            return bytes(try KubeProtobuf.encode(json), code: code, type: form.contentType)
        } catch {
            throw StatusTranslation.status(of: error)
        }
    }
}

extension APICall {
    /// The form in which the client wants objects of a kind.
    func form(of kind: GroupVersionKind) throws(StatusError) -> Negotiated {
        try .choose(
            accept: request.headers.first(name: "Accept"), supportsProtobuf: KubeProtobuf.supports(kind))
    }

    /// The form of an answer that is made up for one request, such as a review, of which there are no tables.
    func formWithoutTable(of kind: GroupVersionKind) throws(StatusError) -> Negotiated {
        try .choose(
            accept: request.headers.first(name: "Accept"), supportsTables: false,
            supportsProtobuf: KubeProtobuf.supports(kind))
    }
}
