// SPDX-License-Identifier: Apache-2.0

package import KubeAPI

/// A media type with its parameters, as in `Accept` and `Content-Type` (RFC 9110, section 8.3.1).
package struct MediaType: Hashable, Sendable {
    /// `application/json`, in lower case.
    package var type: String
    package var parameters: [String: String] = [:]

    package init(_ text: some StringProtocol) {
        var parts = text.split(separator: ";").map { Self.trim($0) }
        type = parts.isEmpty ? "" : parts.removeFirst().lowercased()
        for part in parts {
            let halves = part.split(separator: "=", maxSplits: 1)
            guard halves.count == 2 else { continue }
            let value = Self.trim(halves[1]).filter { $0 != "\"" }
            parameters[Self.trim(halves[0]).lowercased()] = value
        }
    }

    static func trim(_ text: some StringProtocol) -> String {
        var rest = Substring(text)
        while let first = rest.first, first == " " || first == "\t" { rest.removeFirst() }
        while let last = rest.last, last == " " || last == "\t" { rest.removeLast() }
        return String(rest)
    }
}

/// The form in which a client wants objects (`Accept` with `as=`, upstream's negotiation).
package enum Representation: Hashable, Sendable {
    /// The objects themselves.
    case object
    /// `Table` (meta/v1), of this version.
    case table(version: String)
    /// `PartialObjectMetadata` or its list.
    case metadata(version: String)

    var isTable: Bool { if case .table = self { true } else { false } }
}

/// What the server may answer with.
package struct Negotiated: Hashable, Sendable {
    package var representation: Representation = .object
    /// The content type of the answer.
    package var contentType = "application/json"

    package static let json = Negotiated()

    /// Whether objects go in the form of ``KubeProtobuf``.
    package var isProtobuf: Bool { contentType == KubeProtobuf.mediaType }

    /// The content type of a watch: a sequence of frames has another than an object, except in JSON.
    package var streamType: String { contentType == "application/json" ? contentType : "\(contentType);stream=watch" }

    /// Every accepted media type of a list, best first (`q`, then order).
    static func ranked(_ accept: String) -> [MediaType] {
        var candidates: [(type: MediaType, weight: Double)] = []
        for part in accept.split(separator: ",").prefix(64) {
            let type = MediaType(part)
            let weight = Double(type.parameters["q"] ?? "1") ?? 1
            if weight > 0, !type.type.isEmpty { candidates.append((type, weight)) }
        }
        // Of equal weight, the one that comes first wins: the sort must be stable.
        let order = candidates.indices.sorted { left, right in
            let (first, second) = (candidates[left].weight, candidates[right].weight)
            return first == second ? left < right : first > second
        }
        return order.map { candidates[$0].type }
    }

    /// Chooses the first acceptable form.
    ///
    /// - Parameters:
    ///   - supportsTables: whether the objects can be shown as a table.
    ///   - supportsProtobuf: whether the object has a protobuf form; those of custom kinds have none.
    /// - Throws: `NotAcceptable` (406) when the server has nothing that the client takes.
    package static func choose(
        accept: String?, supportsTables: Bool = true, supportsProtobuf: @autoclosure () -> Bool = false
    ) throws(StatusError) -> Negotiated {
        guard let accept, !accept.isEmpty, accept != "application/json", accept != "*/*" else { return .json }
        for type in ranked(accept) {
            switch type.type {
            case "application/json", "application/*", "*/*":
                guard let target = type.parameters["as"] else { return .json }
                if let representation = representation(target, type.parameters),
                    supportsTables || !representation.isTable
                {
                    return Negotiated(representation: representation)
                }
            case "application/yaml": return Negotiated(contentType: "application/yaml")
            case KubeProtobuf.mediaType:
                if let chosen = protobuf(type.parameters, supportsProtobuf()) { return chosen }
            default: continue
            }
        }
        throw StatusError(
            code: 406, reason: StatusError.Reason.notAcceptable,
            message: "only the following media types are accepted: application/json, application/yaml"
                + (supportsProtobuf() ? ", \(KubeProtobuf.mediaType)" : ""))
    }

    /// An object's own form, or its metadata, which has a form for every kind; tables have none.
    private static func protobuf(_ parameters: [String: String], _ isSupported: Bool) -> Negotiated? {
        guard let target = parameters["as"] else {
            return isSupported ? Negotiated(contentType: KubeProtobuf.mediaType) : nil
        }
        guard case .metadata(let version)? = representation(target, parameters) else { return nil }
        return Negotiated(representation: .metadata(version: version), contentType: KubeProtobuf.mediaType)
    }

    private static func representation(_ target: String, _ parameters: [String: String]) -> Representation? {
        let version = parameters["v"] ?? ""
        guard parameters["g"] == "meta.k8s.io", version == "v1" || version == "v1beta1" else { return nil }
        return switch target {
        case "Table": .table(version: version)
        case "PartialObjectMetadata", "PartialObjectMetadataList": .metadata(version: version)
        default: nil
        }
    }
}
