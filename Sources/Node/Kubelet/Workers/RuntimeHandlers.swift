// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The runtimes that a RuntimeClass can name on this node: there is one, by upstream's two names for it.
enum RuntimeHandlers {
    /// Empty for the default.
    static let names = ["", "runc"]

    /// What the node reports of them.
    static let status = JSON.array(
        names.map { ["name": .string($0), "features": ["recursiveReadOnlyMounts": true, "userNamespaces": false]] })
}

extension PodWorker {
    /// Makes sure that the pod's runtime class names a runtime of this node.
    ///
    /// - Throws: ``ConfigurationError`` in upstream's words otherwise.
    func checkRuntimeClass() async throws {
        guard let reference = pod.runtimeClass else { return }
        let name = reference.key.name
        guard let found = try await context.objects.get(reference) else {
            throw ConfigurationError("runtimeclass.node.k8s.io \"\(name)\" not found")
        }
        let handler = found.json["handler"]?.string ?? ""
        guard RuntimeHandlers.names.contains(handler) else {
            throw ConfigurationError(
                "rpc error: code = Unknown desc = failed to get sandbox runtime: no runtime for \"\(handler)\" is "
                    + "configured")
        }
    }
}
