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
}

/// What the server may answer with.
package struct Negotiated: Hashable, Sendable {
    package var representation: Representation = .object
    /// The content type of the answer.
    package var contentType = "application/json"

    package static let json = Negotiated()

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
    /// - Throws: `NotAcceptable` (406) when JSON is not among what the client takes.
    package static func choose(accept: String?) throws(StatusError) -> Negotiated {
        guard let accept, !accept.isEmpty, accept != "application/json", accept != "*/*" else { return .json }
        for type in ranked(accept) {
            switch type.type {
            case "application/json", "application/*", "*/*":
                guard let target = type.parameters["as"] else { return .json }
                if let representation = representation(target, type.parameters) {
                    return Negotiated(representation: representation)
                }
            case "application/yaml": return Negotiated(contentType: "application/yaml")
            default: continue
            }
        }
        throw StatusError(
            code: 406, reason: StatusError.Reason.notAcceptable,
            message: "only the following media types are accepted: application/json, application/yaml")
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
