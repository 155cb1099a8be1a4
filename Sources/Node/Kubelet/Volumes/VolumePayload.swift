// SPDX-License-Identifier: Apache-2.0

package import JSON
package import KubeAPI
import PKI

/// Makes the files of configMap, secret, downwardAPI and projected volumes from the objects they name; no I/O.
package struct VolumePayload {
    /// Files by relative path.
    package private(set) var files: [String: VolumeFile] = [:]
    private let defaultMode: UInt32

    /// - Parameter defaultMode: The volume's `defaultMode`; 0644 where it has none.
    package init(defaultMode: Int?) { self.defaultMode = UInt32(defaultMode ?? 0o644) }

    private func mode(_ json: JSON?) -> UInt32 { json?.int.map { UInt32(truncatingIfNeeded: $0) } ?? defaultMode }

    /// Adds the keys of a ConfigMap, all or the `items` of the source; nil stands for an object that is missing.
    package mutating func add(configMap object: KubeObject?, source: JSON) throws(ConfigurationError) {
        guard let object else { return try missing("configmap", source) }
        var values: [String: [UInt8]] = [:]
        for (key, value) in object.json["data"]?.members ?? [:] { values[key] = Array((value.string ?? "").utf8) }
        for (key, value) in object.json["binaryData"]?.members ?? [:] {
            values[key] = Base64.decode(value.string ?? "") ?? []
        }
        try add(values, source, missingKey: "configmap references non-existent config key")
    }

    /// Adds the keys of a Secret.
    package mutating func add(secret object: KubeObject?, source: JSON) throws(ConfigurationError) {
        guard let object else { return try missing("secret", source) }
        var values: [String: [UInt8]] = [:]
        for (key, value) in object.json["data"]?.members ?? [:] {
            values[key] = Base64.decode(value.string ?? "") ?? []
        }
        try add(values, source, missingKey: "references non-existent secret key")
    }

    /// Adds fields of the pod.
    package mutating func add(downwardAPI source: JSON, fields: FieldReference, pod: Pod) throws(ConfigurationError) {
        for item in source["items"]?.elements ?? [] {
            let path = try Self.checked(item["path"]?.string ?? "")
            var value = ""
            if let field = item["fieldRef"]?["fieldPath"]?.string {
                value = try fields.value(ofField: field)
            } else if let resource = item["resourceFieldRef"] {
                let name = resource["containerName"]?.string ?? ""
                guard let container = pod.container(named: name) else {
                    throw ConfigurationError("container \(name) not found")
                }
                value = try fields.value(ofResource: resource, in: container)
            }
            files[path] = VolumeFile(content: Array(value.utf8), mode: mode(item["mode"]))
        }
    }

    /// Adds a service account's token: readable for its owner only, or for the pod's group.
    package mutating func add(token: String, path: String, owner: UInt32?, hasGroup: Bool) throws(ConfigurationError) {
        let mode: UInt32 = owner != nil || hasGroup ? 0o600 : defaultMode
        files[try Self.checked(path)] = VolumeFile(content: Array(token.utf8), mode: mode, owner: owner)
    }

    private func missing(_ kind: String, _ source: JSON) throws(ConfigurationError) {
        if source["optional"]?.bool == true { return }
        let name = source["name"]?.string ?? source["secretName"]?.string ?? ""
        throw ConfigurationError("\(kind) \"\(name)\" not found")
    }

    private mutating func add(
        _ values: [String: [UInt8]], _ source: JSON, missingKey: String
    ) throws(ConfigurationError) {
        guard let items = source["items"]?.array, !items.isEmpty else {
            for (key, value) in values {
                files[try Self.checked(key)] = VolumeFile(content: value, mode: defaultMode)
            }
            return
        }
        for item in items {
            let key = item["key"]?.string ?? ""
            guard let value = values[key] else {
                if source["optional"]?.bool == true { continue }
                throw ConfigurationError("\(missingKey): \(key)")
            }
            let path = try Self.checked(item["path"]?.string ?? "")
            files[path] = VolumeFile(content: value, mode: mode(item["mode"]))
        }
    }

    /// A relative path that stays inside the volume and does not meet the writer's own names.
    private static func checked(_ path: String) throws(ConfigurationError) -> String {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false)
        let isSafe =
            !path.isEmpty && path.utf8.count <= 4096 && !path.hasPrefix("..")
            && parts.allSatisfy { !$0.isEmpty && $0 != ".." && $0 != "." && $0.utf8.count <= 255 }
        guard isSafe else { throw ConfigurationError("invalid path: \(path)") }
        return path
    }
}
