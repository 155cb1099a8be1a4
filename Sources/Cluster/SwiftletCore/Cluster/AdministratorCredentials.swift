// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
import JSON
import LinuxSystem
import PKI

/// By what commands on the control plane's machine are the cluster's administrator.
struct AdministratorCredentials: Sendable {
    /// Whom to trust, the authority that signs first: while it is replaced, the server may show a certificate by either.
    let authorityPEM: [UInt8]
    let certificatePEM: [UInt8]
    let keyPEM: [UInt8]

    /// Reads the agent's own files, or for others than root the kubeconfig, which the group `swiftlet` may read.
    ///
    /// - Parameter operation: what is attempted, for the error: `make a join line`.
    /// - Throws: ``JoinError`` when neither may be read.
    static func read(_ configuration: Configuration, _ operation: String) throws -> AdministratorCredentials {
        let directory = configuration.keyDirectory
        do {
            return AdministratorCredentials(
                authorityPEM: try AuthorityFiles.trusted(directory: directory),
                certificatePEM: try Files.read("\(directory)/admin.crt"),
                keyPEM: try Files.read("\(directory)/admin.key"))
        } catch let error as SystemError where error.isDenied {
            return try read(kubeconfig: configuration.kubeconfigPath, operation)
        }
    }

    private static func read(kubeconfig path: String, _ operation: String) throws -> AdministratorCredentials {
        let text: String
        do {
            text = try Files.readText(path)
        } catch {
            guard error.isDenied || error.isMissing else { throw error }
            throw JoinError(
                operation, reason: "\(path): \(error.reason)",
                remedy: "run it with sudo, or as a member of group swiftlet while the agent runs")
        }
        let document = try YAMLDocument.parse(text)
        func data(_ value: JSON?, _ name: String) throws -> [UInt8] {
            guard let bytes = value?[name]?.string.flatMap({ Base64.decode($0) }) else {
                throw JoinError(
                    operation, reason: "\(path) has no \(name)",
                    remedy: "run 'systemctl restart swiftlet', which writes it anew")
            }
            return bytes
        }
        let user = document["users"]?[0]?["user"]
        return AdministratorCredentials(
            authorityPEM: try data(document["clusters"]?[0]?["cluster"], "certificate-authority-data"),
            certificatePEM: try data(user, "client-certificate-data"), keyPEM: try data(user, "client-key-data"))
    }
}
