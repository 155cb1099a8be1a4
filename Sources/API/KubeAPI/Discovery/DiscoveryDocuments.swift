// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The documents by which clients find out what an API serves; the same table always gives the same bytes.
///
/// Sources: `meta/v1` APIVersions, APIGroupList, APIGroup and APIResourceList, `apidiscovery.k8s.io/v2`.
package struct DiscoveryDocuments: Sendable {
    private let table: ResourceTable

    package init(_ table: ResourceTable) { self.table = table }

    /// `/api`, unaggregated. `serverAddress` is `host:port` as clients of any network reach the API.
    package func versions(serverAddress: String) -> JSON {
        let address: JSON = ["clientCIDR": "0.0.0.0/0", "serverAddress": .string(serverAddress)]
        return ["kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]]
    }

    /// `/apis`, unaggregated.
    package var groups: JSON {
        let groups = table.groups.filter { !$0.name.isEmpty }
        return ["kind": "APIGroupList", "apiVersion": "v1", "groups": .array(groups.map(Self.summary))]
    }

    /// `/apis/<group>`; nil if the group is not served.
    package func group(_ name: String) -> JSON? {
        guard !name.isEmpty, let group = table.group(name) else { return nil }
        var result: JSON = ["kind": "APIGroup", "apiVersion": "v1"]
        for (key, value) in Self.summary(group).members { result[key] = value }
        return result
    }

    private static func summary(_ group: ResourceTable.Group) -> JSON {
        let version = { (version: GroupVersion) -> JSON in
            ["groupVersion": .string(version.description), "version": .string(version.version)]
        }
        return [
            "name": .string(group.name),
            "versions": .array(group.versions.map { version(GroupVersion(group.name, $0)) }),
            "preferredVersion": version(group.preferred),
        ]
    }

    /// `/api/v1` or `/apis/<group>/<version>`; nil if the version is not served.
    package func resources(_ version: GroupVersion) -> JSON? {
        let resources = table.resources(in: version)
        if resources.isEmpty { return nil }
        var result: JSON = ["kind": "APIResourceList"]
        if !version.group.isEmpty { result["apiVersion"] = "v1" }
        result["groupVersion"] = .string(version.description)
        result["resources"] = .array(resources.flatMap(Self.entries))
        return result
    }

    private static func entries(_ resource: ResourceInfo) -> [JSON] {
        var entry: JSON = [
            "name": .string(resource.plural), "singularName": .string(resource.singular),
            "namespaced": .bool(resource.isNamespaced), "kind": .string(resource.kind), "verbs": JSON(resource.verbs),
        ]
        if !resource.shortNames.isEmpty { entry["shortNames"] = JSON(resource.shortNames) }
        if !resource.categories.isEmpty { entry["categories"] = JSON(resource.categories) }
        if resource.isStored { entry["storageVersionHash"] = .string(storageVersionHash(resource.storageKind)) }
        let parts = resource.subresources.map { part -> JSON in
            var entry: JSON = [
                "name": .string("\(resource.plural)/\(part.name)"), "singularName": "",
                "namespaced": .bool(resource.isNamespaced),
            ]
            if part.kind.groupVersion != resource.groupVersion {
                if !part.kind.group.isEmpty { entry["group"] = .string(part.kind.group) }
                entry["version"] = .string(part.kind.version)
            }
            entry["kind"] = .string(part.kind.kind)
            entry["verbs"] = JSON(part.verbs)
            return entry
        }
        return [entry] + parts
    }

    /// What clients compare to see whether a resource is stored in another version: the first 8 bytes of a hash.
    static func storageVersionHash(_ kind: GroupVersionKind) -> String {
        let hash = ContentHash.sha256(Array("\(kind.group)/\(kind.version)/\(kind.kind)".utf8))
        return Base64.encode(hash.prefix(8))
    }
}

// MARK: - Aggregated discovery

extension DiscoveryDocuments {
    /// The versions of `apidiscovery.k8s.io` in which aggregated documents can be asked for, best first.
    package static let aggregatedVersions = ["v2", "v2beta1"]

    /// What a client's `Accept` names, and the `Content-Type` of the answer.
    package static func aggregatedMediaType(_ version: String) -> String {
        "application/json;g=apidiscovery.k8s.io;v=\(version);as=APIGroupDiscoveryList"
    }

    /// The whole of `/api` (`core`) or of `/apis` in one document.
    package func aggregated(core: Bool, version: String) -> JSON {
        let groups = table.groups.filter { $0.name.isEmpty == core }
        return [
            "kind": "APIGroupDiscoveryList", "apiVersion": .string("apidiscovery.k8s.io/\(version)"), "metadata": [:],
            "items": .array(
                groups.map { group in
                    let metadata: JSON = group.name.isEmpty ? [:] : ["name": .string(group.name)]
                    return [
                        "metadata": metadata, "versions": .array(group.versions.map { aggregated(group.name, $0) }),
                    ]
                }),
        ]
    }

    private func aggregated(_ group: String, _ version: String) -> JSON {
        let resources = table.resources(in: .init(group, version))
        return [
            "version": .string(version), "resources": .array(resources.map(Self.aggregatedEntry)),
            "freshness": "Current",
        ]
    }

    private static func aggregatedEntry(_ resource: ResourceInfo) -> JSON {
        var entry: JSON = [
            "resource": .string(resource.plural), "responseKind": kind(resource.groupVersionKind),
            "scope": resource.isNamespaced ? "Namespaced" : "Cluster", "singularResource": .string(resource.singular),
            "verbs": JSON(resource.verbs),
        ]
        if !resource.shortNames.isEmpty { entry["shortNames"] = JSON(resource.shortNames) }
        if !resource.categories.isEmpty { entry["categories"] = JSON(resource.categories) }
        if !resource.subresources.isEmpty {
            entry["subresources"] = .array(
                resource.subresources.map {
                    [
                        "subresource": .string($0.name), "responseKind": kind($0.kind), "verbs": JSON($0.verbs),
                    ]
                })
        }
        return entry
    }

    private static func kind(_ kind: GroupVersionKind) -> JSON {
        ["group": .string(kind.group), "version": .string(kind.version), "kind": .string(kind.kind)]
    }
}
