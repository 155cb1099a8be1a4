// SPDX-License-Identifier: Apache-2.0

/// An API group and version: `apps/v1`, or `v1` for the core group, whose name is empty.
package struct GroupVersion: Hashable, Sendable, CustomStringConvertible {
    package var group: String
    package var version: String

    package init(_ group: String, _ version: String) {
        self.group = group
        self.version = version
    }

    /// Parses an `apiVersion`; nil unless it is `version` or `group/version`.
    package init?(apiVersion: some StringProtocol) {
        let parts = apiVersion.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty }), let version = parts.last else {
            return nil
        }
        self.init(parts.count == 2 ? String(parts[0]) : "", String(version))
    }

    /// The form that objects carry in `apiVersion`.
    package var description: String { group.isEmpty ? version : "\(group)/\(version)" }

    package func kind(_ kind: String) -> GroupVersionKind { .init(group, version, kind) }
    package func resource(_ resource: String) -> GroupVersionResource { .init(group, version, resource) }
}

/// The type of an object: `apps/v1, Kind=Deployment`.
package struct GroupVersionKind: Hashable, Sendable, CustomStringConvertible {
    package var group: String
    package var version: String
    package var kind: String

    package init(_ group: String, _ version: String, _ kind: String) {
        self.group = group
        self.version = version
        self.kind = kind
    }

    package var groupVersion: GroupVersion { .init(group, version) }
    package var description: String { "\(groupVersion), Kind=\(kind)" }
}

/// A collection that the API serves: `apps/v1, Resource=deployments`.
package struct GroupVersionResource: Hashable, Sendable, CustomStringConvertible {
    package var group: String
    package var version: String
    /// The plural, lower-case name.
    package var resource: String

    package init(_ group: String, _ version: String, _ resource: String) {
        self.group = group
        self.version = version
        self.resource = resource
    }

    package var groupVersion: GroupVersion { .init(group, version) }
    /// `deployments.apps`, or `pods` in the core group: how error messages name a resource.
    package var groupResource: String { group.isEmpty ? resource : "\(resource).\(group)" }
    package var description: String { "\(groupVersion), Resource=\(resource)" }
}
