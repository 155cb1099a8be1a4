// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import PKI
import StorageSQLite

/// Gathers what this machine knows to be secret, so that it can be recognised in logs and messages.
struct SecretCollection: Sendable {
    private(set) var known = KnownSecrets()

    /// Keys, kubeconfigs and kept objects in the node's directories. What cannot be read holds no secret of the reader's.
    mutating func addFiles(of configuration: Configuration) {
        let state = configuration.directories.state
        for directory in ["\(state)/pki", "\(state)/membership"] {
            for name in names(directory) where name.hasSuffix(".key") || name.hasSuffix(".pem") {
                addPEM(read("\(directory)/\(name)"))
            }
        }
        addKubeconfig(read(configuration.kubeconfigPath))
        for name in names("\(state)/objects") { addDocument("\(state)/objects/\(name)") }
        for uid in names("\(state)/pods") { addDocument("\(state)/pods/\(uid)/pod.json") }
    }

    /// Secrets and pods in the node's own store, whether or not an agent serves it.
    ///
    /// - Throws: `StorageOpenError` when it cannot be read.
    mutating func addStore(of configuration: Configuration) throws {
        let directory = "\(configuration.directories.state)/store"
        // A worker has none.
        guard Files.exists("\(directory)/\(StoreSnapshot.fileName)") else { return }
        for prefix in ["/registry/core/secrets/", "/registry/core/pods/"] {
            try StoreSnapshot.read(directory, prefix: prefix) { value in
                // What is no JSON is not one of these objects.
                if let object = try? JSON.parse(value) { add(object) }
            }
        }
    }

    private func names(_ directory: String) -> [String] { (try? Files.names(in: directory)) ?? [] }
    private func read(_ path: String) -> [UInt8] { (try? Files.read(path, limit: 4 << 20)) ?? [] }

    private mutating func addPEM(_ bytes: [UInt8]) {
        // Certificates in the same file go too, which does no harm.
        known.add(bytes)
    }

    private mutating func addKubeconfig(_ bytes: [UInt8]) {
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            let text = String(decoding: line, as: UTF8.self).trimmed
            for key in ["client-key-data: ", "token: ", "password: "] where text.hasPrefix(key) {
                addValue(String(text.dropFirst(key.count)))
            }
        }
    }

    private mutating func addDocument(_ path: String) {
        // A file that a power cut cut short holds nothing that can be told.
        guard let document = try? JSON.parse(read(path)) else { return }
        add(document)
    }

    /// Takes in an object's secrets: a Secret's data, a token, and a pod's environment.
    mutating func add(_ object: JSON) {
        if object["kind"]?.string != "ConfigMap" {
            for key in ["data", "stringData"] {
                for (_, value) in object[key]?.members ?? [:] { if let text = value.string { addValue(text) } }
            }
        }
        if let token = object["status"]?["token"]?.string { addValue(token) }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for container in object["spec"]?[list]?.elements ?? [] {
                for variable in container["env"]?.elements ?? [] { addVariable(variable) }
            }
        }
    }

    private mutating func addVariable(_ variable: JSON) {
        guard let name = variable["name"]?.string, let value = variable["value"]?.string else { return }
        // `postgres://user:password@host/db` and the like, under whatever name.
        let mayHoldPassword = value.utf8.contains(UInt8(ascii: "@"))
        if mayHoldPassword || Redaction.isSecretName(Array(name.utf8)[...]) { addValue(value) }
    }

    /// A value as it is, and what it is in Base64.
    private mutating func addValue(_ text: String) {
        known.add(text.utf8)
        if let decoded = Base64.decode(text) { known.add(decoded) }
    }
}
