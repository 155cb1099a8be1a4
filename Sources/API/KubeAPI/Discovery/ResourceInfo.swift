// SPDX-License-Identifier: Apache-2.0

/// What the API offers for one resource in one version: names, scope, verbs and subresources.
package struct ResourceInfo: Sendable, Hashable {
    package var group: String
    package var version: String
    /// The plural name, which paths and ``GroupVersionResource`` use.
    package var plural: String
    package var singular: String
    package var kind: String
    package var isNamespaced: Bool
    package var shortNames: [String]
    package var categories: [String]
    /// Sorted, as discovery shows them.
    package var verbs: [String]
    package var subresources: [Subresource]
    /// Where the objects are kept; differs from this resource's own where two versions or groups share one store.
    package var storage: GroupVersionResource
    /// The kind in which they are kept.
    package var storageKind: GroupVersionKind

    /// A part of an object, or an action on it, with a path of its own: `status`, `scale`, `exec`.
    package struct Subresource: Sendable, Hashable {
        package var name: String
        /// What is sent and returned.
        package var kind: GroupVersionKind
        /// Sorted, as discovery shows them.
        package var verbs: [String]

        package init(name: String, kind: GroupVersionKind, verbs: [String]) {
            self.name = name
            self.kind = kind
            self.verbs = verbs
        }
    }

    package init(
        group: String, version: String, plural: String, singular: String? = nil, kind: String,
        isNamespaced: Bool = true, shortNames: [String] = [], categories: [String] = [],
        verbs: [String] = Verbs.standard, subresources: [Subresource] = [], storage: GroupVersionResource? = nil,
        storageKind: GroupVersionKind? = nil
    ) {
        self.group = group
        self.version = version
        self.plural = plural
        self.singular = singular ?? kind.lowercased()
        self.kind = kind
        self.isNamespaced = isNamespaced
        self.shortNames = shortNames
        self.categories = categories
        self.verbs = verbs
        self.subresources = subresources
        self.storage = storage ?? .init(group, version, plural)
        self.storageKind = storageKind ?? .init(group, version, kind)
    }

    package var groupVersion: GroupVersion { .init(group, version) }
    package var resource: GroupVersionResource { .init(group, version, plural) }
    package var groupVersionKind: GroupVersionKind { .init(group, version, kind) }
    package var listKind: String { kind + "List" }

    /// Whether objects of this resource are kept; reviews are answered and forgotten.
    package var isStored: Bool { verbs.contains("get") && kind != "ComponentStatus" }

    package func allows(_ verb: String) -> Bool { verbs.contains(verb) }
    package func subresource(_ name: String) -> Subresource? { subresources.first { $0.name == name } }
    package var hasStatus: Bool { subresource("status") != nil }
    package var hasScale: Bool { subresource("scale") != nil }

    /// The type of the objects; nil for custom kinds and those without a schema.
    package var type: SchemaType? { Schema.type(for: groupVersionKind) }

    /// The sets of verbs that occur.
    package enum Verbs {
        package static let standard = [
            "create", "delete", "deletecollection", "get", "list", "patch", "update", "watch",
        ]
        package static let createOnly = ["create"]
        package static let part = ["get", "patch", "update"]
    }
}
