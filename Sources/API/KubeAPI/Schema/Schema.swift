// SPDX-License-Identifier: Apache-2.0

/// The types of the built-in kinds of Kubernetes v1.36.
package enum Schema {
    /// `metav1.ObjectMeta`.
    package static var objectMeta: SchemaType? { type(named: metaPrefix + "ObjectMeta") }

    /// `autoscaling/v1 Scale`, the body of `scale` subresources.
    package static var scale: SchemaType? { type(for: .init("autoscaling", "v1", "Scale")) }

    private static let metaPrefix = "io.k8s.apimachinery.pkg.apis.meta.v1."
    private static let metaKinds: Set<String> = [
        "DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "GetOptions", "ListOptions", "Status",
        "WatchEvent", "APIGroup", "APIGroupList", "APIResourceList", "APIVersions",
    ]

    /// The type of a definition by its full name, `io.k8s.api.core.v1.PodSpec`; nil if there is none.
    package static func type(named name: String) -> SchemaType? {
        SchemaTable.definition(named: name).map { SchemaType(definition: $0) }
    }

    /// The type of a built-in kind; nil for kinds that are not served by default in v1.36.
    package static func type(for kind: GroupVersionKind) -> SchemaType? {
        if let name = definitionName(of: kind), let type = type(named: name) { return type }
        return metaKinds.contains(kind.kind) ? type(named: metaPrefix + kind.kind) : nil
    }

    /// The name under which OpenAPI documents publish a kind.
    static func definitionName(of kind: GroupVersionKind) -> String? {
        let tail = "\(kind.version).\(kind.kind)"
        switch kind.group {
        case "": return "io.k8s.api.core.\(tail)"
        case "apiextensions.k8s.io": return "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.\(tail)"
        case "apiregistration.k8s.io": return "io.k8s.kube-aggregator.pkg.apis.apiregistration.\(tail)"
        default:
            // Other projects' groups begin with the same words: `apps.example.com`, `networking.istio.io`.
            guard !kind.group.contains(".") || kind.group.hasSuffix(".k8s.io") else { return nil }
            let name = kind.group.split(separator: ".").first ?? ""
            return "io.k8s.api.\(name).\(tail)"
        }
    }

    /// The full names of all definitions of the table, sorted.
    package static var definitionNames: [String] {
        (0..<BuiltInSchema.definitionCount).map { SchemaTable.string(at: SchemaTable.definitionOffset($0)) }
    }
}
