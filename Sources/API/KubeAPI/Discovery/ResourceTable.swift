// SPDX-License-Identifier: Apache-2.0

/// The resources that an API serves, with their groups and versions in the order of discovery.
package struct ResourceTable: Sendable {
    /// A group with its versions, the preferred one first.
    package struct Group: Sendable, Hashable {
        package var name: String
        package var versions: [String]

        package var preferred: GroupVersion { .init(name, versions.first ?? "v1") }
    }

    /// In the order of discovery; the core group, whose name is empty, first.
    package let groups: [Group]
    /// All resources, ordered by group, version and name.
    package let resources: [ResourceInfo]
    private let byResource: [GroupVersionResource: Int]
    private let byKind: [GroupVersionKind: Int]

    /// Groups and versions keep the order in which their first resource appears; resources are sorted by name.
    package init(_ resources: [ResourceInfo]) {
        var groups: [Group] = []
        for resource in resources {
            if let index = groups.firstIndex(where: { $0.name == resource.group }) {
                if !groups[index].versions.contains(resource.version) {
                    groups[index].versions.append(resource.version)
                }
            } else {
                groups.append(Group(name: resource.group, versions: [resource.version]))
            }
        }
        var ordered: [ResourceInfo] = []
        for group in groups {
            for version in group.versions {
                ordered += resources.filter { $0.group == group.name && $0.version == version }
                    .sorted { $0.plural < $1.plural }
            }
        }
        self.groups = groups
        self.resources = ordered
        byResource = .init(ordered.enumerated().map { ($1.resource, $0) }, uniquingKeysWith: { first, _ in first })
        byKind = .init(ordered.enumerated().map { ($1.groupVersionKind, $0) }, uniquingKeysWith: { first, _ in first })
    }

    package subscript(resource: GroupVersionResource) -> ResourceInfo? { byResource[resource].map { resources[$0] } }
    package subscript(kind: GroupVersionKind) -> ResourceInfo? { byKind[kind].map { resources[$0] } }

    /// The resources of one version, sorted by name; empty if it is not served.
    package func resources(in version: GroupVersion) -> [ResourceInfo] {
        resources.filter { $0.group == version.group && $0.version == version.version }
    }

    package func group(_ name: String) -> Group? { groups.first { $0.name == name } }

    /// All served versions in the order of discovery.
    package var groupVersions: [GroupVersion] {
        groups.flatMap { group in group.versions.map { GroupVersion(group.name, $0) } }
    }

    /// The other resources that show the same stored objects: `events` of core and of `events.k8s.io`.
    package func aliases(of resource: ResourceInfo) -> [ResourceInfo] {
        resources.filter { $0.storage == resource.storage && $0.resource != resource.resource }
    }

    /// What a v1.36 server offers with no beta API enabled.
    package static let builtIn = ResourceTable(BuiltInResources.rows)
}
