// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The fields by which the objects of a kind can be selected.
///
/// Every kind offers its name and namespace; some offer more (https://kubernetes.io/docs/concepts/overview/
/// working-with-objects/field-selectors/), and so does a custom resource with `selectableFields`.
package struct SelectableFields: Hashable, Sendable {
    /// How the kind words its refusal of an unknown field.
    package enum Refusal: Hashable, Sendable {
        /// `field label not supported: x`
        case plain
        /// `field label "x" not supported for batchv1.Job`
        case quoted(kind: String)
        /// `field label not supported for appsv1.StatefulSet: x`
        case named(kind: String)
        /// `"x" is not a known field selector: only "metadata.name", "metadata.namespace"`
        case metadataOnly
    }

    /// The names that clients may use, and the names under which ``value(of:in:)`` knows them.
    private let names: [String: String]
    private let refusal: Refusal

    init(_ names: [String], synonyms: [String: String] = [:], refusal: Refusal = .plain) {
        self.names = Dictionary(uniqueKeysWithValues: names.map { ($0, $0) }).merging(synonyms) { $1 }
        self.refusal = refusal
    }

    /// What a kind without special fields offers.
    package static let metadataOnly = SelectableFields(
        ["metadata.name", "metadata.namespace"], refusal: .metadataOnly)

    /// The fields of a custom resource: its `selectableFields[].jsonPath` without the leading dot.
    package static func custom(_ paths: [String]) -> SelectableFields {
        .init(["metadata.name", "metadata.namespace"] + paths)
    }

    /// The fields of a built-in kind.
    package static func of(_ kind: GroupVersionKind) -> SelectableFields {
        table["\(kind.group)/\(kind.kind)"] ?? metadataOnly
    }

    /// The canonical name of a field; throws 400 if the kind does not offer it.
    package func resolve(_ field: String, kind: GroupVersionKind) throws(StatusError) -> String {
        if let name = names[field] { return name }
        switch refusal {
        case .plain: throw .badRequest("field label not supported: \(field)")
        case .quoted(let kind): throw .badRequest("field label \(goQuoted(field)) not supported for \(kind)")
        case .named(let kind): throw .badRequest("field label not supported for \(kind): \(field)")
        case .metadataOnly:
            throw .badRequest(
                "\(goQuoted(field)) is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
        }
    }

    private static let table: [String: SelectableFields] = [
        "/Pod": .init(
            [
                "metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName",
                "spec.serviceAccountName", "spec.hostNetwork", "status.phase", "status.podIP", "status.podIPs",
                "status.nominatedNodeName",
            ], synonyms: ["spec.host": "spec.nodeName"]),
        "/Node": .init(["metadata.name", "spec.unschedulable"]),
        "/ReplicationController": .init(["metadata.name", "metadata.namespace", "status.replicas"]),
        "/Namespace": .init(["metadata.name", "status.phase"]),
        "/Secret": .init(["metadata.name", "metadata.namespace", "type"]),
        "/Service": .init(["metadata.name", "metadata.namespace", "spec.clusterIP", "spec.type"]),
        "/Event": .init(eventFields),
        "events.k8s.io/Event": .init(
            ["metadata.name", "metadata.namespace", "reason", "type"],
            synonyms: Dictionary(
                uniqueKeysWithValues: objectReferenceFields.map { ("regarding.\($0)", "involvedObject.\($0)") }
                    + [("reportingController", "reportingComponent")])),
        "apps/ReplicaSet": .init(["metadata.name", "metadata.namespace", "status.replicas"]),
        "apps/StatefulSet": .init(
            ["metadata.name", "metadata.namespace", "status.successful"],
            refusal: .named(kind: "appsv1.StatefulSet")),
        "batch/Job": .init(
            ["metadata.name", "metadata.namespace", "status.successful"], refusal: .quoted(kind: "batchv1.Job")),
        "certificates.k8s.io/CertificateSigningRequest": .init(["metadata.name", "spec.signerName"]),
        "certificates.k8s.io/ClusterTrustBundle": .init(["metadata.name", "spec.signerName"]),
        "certificates.k8s.io/PodCertificateRequest": .init(
            ["metadata.name", "metadata.namespace", "spec.signerName", "spec.podName", "spec.nodeName"]),
        "resource.k8s.io/ResourceSlice": .init(["metadata.name", "spec.nodeName", "spec.driver"]),
    ]

    private static let objectReferenceFields = [
        "kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath",
    ]
    private static let eventFields =
        objectReferenceFields.map { "involvedObject.\($0)" }
        + ["reason", "reportingComponent", "source", "type", "metadata.namespace", "metadata.name"]

    /// The value of a field as text; fields that are absent are empty, `false` or `0`, as their type says.
    package static func value(of field: String, in object: JSON) -> String {
        switch field {
        case "metadata.name": return object["metadata"]?["name"]?.string ?? ""
        case "metadata.namespace": return object["metadata"]?["namespace"]?.string ?? ""
        case "spec.unschedulable", "spec.hostNetwork":
            return text(at: field, in: object) ?? "false"
        case "status.replicas": return text(at: field, in: object) ?? "0"
        case "status.successful": return text(at: "status.succeeded", in: object) ?? "0"
        case "status.podIP":
            return object["status"]?["podIPs"]?[0]?["ip"]?.string ?? object["status"]?["podIP"]?.string ?? ""
        case "source":
            let component = (object["source"] ?? object["deprecatedSource"])?["component"]?.string ?? ""
            return component.isEmpty ? value(of: "reportingComponent", in: object) : component
        case "reportingComponent":
            return (object["reportingComponent"] ?? object["reportingController"])?.string ?? ""
        case _ where field.hasPrefix("involvedObject."):
            let name = String(field.dropFirst("involvedObject.".count))
            return (object["involvedObject"] ?? object["regarding"])?[name]?.string ?? ""
        default: return text(at: field, in: object) ?? ""
        }
    }

    private static func text(at field: String, in object: JSON) -> String? {
        var current = object
        for part in field.split(separator: ".") {
            guard let next = current[String(part)] else { return nil }
            current = next
        }
        switch current {
        case .string(let value): return value
        case .bool(let value): return value ? "true" : "false"
        case .int(let value): return String(value)
        default: return nil
        }
    }
}
