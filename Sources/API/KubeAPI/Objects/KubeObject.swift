// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Any Kubernetes object: its JSON with names for the parts that all objects have.
///
/// Thin typed views (a pod, a node) wrap one and read only the fields that they need, so that unknown fields survive.
package struct KubeObject: Hashable, Sendable {
    /// The whole object.
    package var json: JSON

    package init(_ json: JSON) { self.json = json }

    /// An object with only its type and name.
    package init(_ kind: GroupVersionKind, namespace: String? = nil, name: String) {
        json = [
            "apiVersion": .string(kind.groupVersion.description), "kind": .string(kind.kind),
            "metadata": ["name": .string(name)],
        ]
        if let namespace { self.namespace = namespace }
    }

    package var apiVersion: String { json["apiVersion"]?.string ?? "" }
    package var kind: String { json["kind"]?.string ?? "" }

    /// The type, nil when `apiVersion` or `kind` is missing or malformed.
    package var groupVersionKind: GroupVersionKind? {
        guard let groupVersion = GroupVersion(apiVersion: apiVersion), !kind.isEmpty else { return nil }
        return groupVersion.kind(kind)
    }

    package var metadata: JSON {
        get { json["metadata"] ?? .object([:]) }
        set { json["metadata"] = newValue }
    }

    package var name: String {
        get { json["metadata"]?["name"]?.string ?? "" }
        set { json["metadata", "name"] = .string(newValue) }
    }

    /// The namespace; empty for cluster-scoped objects.
    package var namespace: String {
        get { json["metadata"]?["namespace"]?.string ?? "" }
        set { json["metadata", "namespace"] = newValue.isEmpty ? nil : .string(newValue) }
    }

    package var uid: String { json["metadata"]?["uid"]?.string ?? "" }

    package var resourceVersion: String {
        get { json["metadata"]?["resourceVersion"]?.string ?? "" }
        set { json["metadata", "resourceVersion"] = newValue.isEmpty ? nil : .string(newValue) }
    }

    package var generation: Int { json["metadata"]?["generation"]?.int ?? 0 }
    package var labels: [String: String] { json["metadata"]?["labels"]?.stringMap ?? [:] }
    package var annotations: [String: String] { json["metadata"]?["annotations"]?.stringMap ?? [:] }
    package var finalizers: [String] { json["metadata"]?["finalizers"]?.elements.compactMap(\.string) ?? [] }
    /// RFC 3339, `2026-01-02T03:04:05Z`.
    package var creationTimestamp: String? { json["metadata"]?["creationTimestamp"]?.string }
    /// Set once a graceful deletion has begun.
    package var deletionTimestamp: String? { json["metadata"]?["deletionTimestamp"]?.string }
    package var isBeingDeleted: Bool { deletionTimestamp != nil }

    package var ownerReferences: [OwnerReference] {
        json["metadata"]?["ownerReferences"]?.elements.compactMap(OwnerReference.init) ?? []
    }

    /// The owner that manages this object, if it has one.
    package var controller: OwnerReference? { ownerReferences.first(where: \.isController) }

    package var spec: JSON {
        get { json["spec"] ?? .object([:]) }
        set { json["spec"] = newValue }
    }

    package var status: JSON {
        get { json["status"] ?? .object([:]) }
        set { json["status"] = newValue }
    }

    /// Where the object is found: its namespace, if any, and name.
    package var key: ObjectKey { .init(namespace: namespace, name: name) }
}

/// An object's namespace and name, unique within its resource.
package struct ObjectKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    /// Empty for cluster-scoped objects.
    package var namespace: String
    package var name: String

    package init(namespace: String = "", name: String) {
        self.namespace = namespace
        self.name = name
    }

    package var description: String { namespace.isEmpty ? name : "\(namespace)/\(name)" }

    package static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        (left.namespace, left.name) < (right.namespace, right.name)
    }
}

/// An entry of `metadata.ownerReferences`.
package struct OwnerReference: Hashable, Sendable {
    package var apiVersion: String
    package var kind: String
    package var name: String
    package var uid: String
    package var isController: Bool
    package var blocksOwnerDeletion: Bool

    /// The reference by which a controller owns what it creates.
    package init(controller owner: KubeObject) {
        apiVersion = owner.apiVersion
        kind = owner.kind
        name = owner.name
        uid = owner.uid
        isController = true
        blocksOwnerDeletion = true
    }

    /// Reads a reference; nil when a required field is missing.
    package init?(_ json: JSON) {
        guard let apiVersion = json["apiVersion"]?.string, let kind = json["kind"]?.string,
            let name = json["name"]?.string, let uid = json["uid"]?.string
        else { return nil }
        self.apiVersion = apiVersion
        self.kind = kind
        self.name = name
        self.uid = uid
        isController = json["controller"]?.bool ?? false
        blocksOwnerDeletion = json["blockOwnerDeletion"]?.bool ?? false
    }

    package var json: JSON {
        [
            "apiVersion": .string(apiVersion), "kind": .string(kind), "name": .string(name), "uid": .string(uid),
            "controller": .bool(isController), "blockOwnerDeletion": .bool(blocksOwnerDeletion),
        ]
    }
}
