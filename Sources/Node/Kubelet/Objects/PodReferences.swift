// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import KubeClient

extension Pod {
    /// The ConfigMaps and Secrets that the pod's volumes, environment and image pulls refer to, and its runtime class.
    var references: Set<ObjectReference> {
        var names: (configMaps: Set<String>, secrets: Set<String>) = ([], [])
        for container in allContainers {
            let found = ContainerEnvironment.references(of: container)
            names.configMaps.formUnion(found.configMaps)
            names.secrets.formUnion(found.secrets)
        }
        for volume in volumes {
            if let name = volume["configMap"]?["name"]?.string { names.configMaps.insert(name) }
            if let name = volume["secret"]?["secretName"]?.string { names.secrets.insert(name) }
            for source in volume["projected"]?["sources"]?.elements ?? [] {
                if let name = source["configMap"]?["name"]?.string { names.configMaps.insert(name) }
                if let name = source["secret"]?["name"]?.string { names.secrets.insert(name) }
            }
        }
        for reference in spec["imagePullSecrets"]?.elements ?? [] {
            if let name = reference["name"]?.string { names.secrets.insert(name) }
        }
        let make = { (resource: GroupVersionResource, name: String) in
            ObjectReference(resource: resource, key: ObjectKey(namespace: self.namespace, name: name))
        }
        let all = names.configMaps.map { make(.configMaps, $0) } + names.secrets.map { make(.secrets, $0) }
        return Set(all + [runtimeClass].compactMap(\.self))
    }

    /// The RuntimeClass that the pod names; nil for the default runtime.
    var runtimeClass: ObjectReference? {
        guard let name = spec["runtimeClassName"]?.string, !name.isEmpty else { return nil }
        return ObjectReference(
            resource: GroupVersionResource("node.k8s.io", "v1", "runtimeclasses"),
            key: ObjectKey(namespace: "", name: name))
    }

    func configMap(_ name: String) -> ObjectReference {
        ObjectReference(resource: .configMaps, key: ObjectKey(namespace: namespace, name: name))
    }

    func secret(_ name: String) -> ObjectReference {
        ObjectReference(resource: .secrets, key: ObjectKey(namespace: namespace, name: name))
    }
}
