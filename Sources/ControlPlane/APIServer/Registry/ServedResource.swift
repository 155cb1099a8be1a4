// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// A resource as the registry serves it: its row of the schema table, where its objects are stored, how they behave.
final class ServedResource: Sendable {
    let info: ResourceInfo
    let behaviour: any ResourceBehaviour
    /// The prefix of the keys of all objects.
    let keyPrefix: String
    /// How the stored bytes of every object begin, as this version serves them.
    let header: [UInt8]
    let resource: GroupVersionResource
    let kind: GroupVersionKind
    /// The kind in which the objects are kept.
    let storedKind: GroupVersionKind
    let isNamespaced: Bool
    /// Whether the status is written apart from the rest.
    let hasStatus: Bool

    init(info: ResourceInfo, behaviour: any ResourceBehaviour) {
        self.info = info
        self.behaviour = behaviour
        resource = info.resource
        kind = info.groupVersionKind
        isNamespaced = info.isNamespaced
        hasStatus = info.hasStatus
        keyPrefix = StorageKeys.prefix(info.storage.group, info.storage.resource)
        header = ObjectCodec.header(apiVersion: info.groupVersion.description, kind: info.kind)
        storedKind = info.storageKind
    }

    /// Whether stored bytes are what this version serves, so that they can be sent as they are.
    var servesStoredBytes: Bool { storedKind == kind }

    /// The prefix of the objects in a namespace, of all objects where it is empty.
    func keyPrefix(namespace: String) -> String {
        isNamespaced && !namespace.isEmpty ? "\(keyPrefix)\(namespace)/" : keyPrefix
    }

    func key(namespace: String, name: String) -> String {
        isNamespaced ? "\(keyPrefix)\(namespace)/\(name)" : keyPrefix + name
    }

    /// The namespace and name in one of this resource's keys.
    func objectKey(ofKey key: String) -> ObjectKey {
        let rest = key.utf8.dropFirst(keyPrefix.utf8.count)
        guard isNamespaced, let slash = rest.firstIndex(of: UInt8(ascii: "/")) else {
            return ObjectKey(name: String(Substring(rest)))
        }
        return ObjectKey(
            namespace: String(Substring(rest[..<slash])), name: String(Substring(rest[rest.index(after: slash)...])))
    }
}
