// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import PKI

/// A kubeconfig file for one cluster and one user, with all data inside (kubernetes.io, "kubeconfig (v1)").
package struct Kubeconfig: Sendable {
    /// The URL of the API server, `https://127.0.0.1:16443`.
    package var server: String
    package var authorityPEM: [UInt8]
    package var certificatePEM: [UInt8]
    package var keyPEM: [UInt8]
    /// The name of cluster and context.
    package var clusterName: String
    package var userName: String

    package init(
        server: String, authorityPEM: [UInt8], user: Credential, clusterName: String = "swiftlet",
        userName: String = "admin"
    ) {
        self.server = server
        self.authorityPEM = authorityPEM
        certificatePEM = user.certificatePEM
        keyPEM = user.keyPEM
        self.clusterName = clusterName
        self.userName = userName
    }

    /// The file's content.
    package var yaml: String {
        """
        apiVersion: v1
        kind: Config
        clusters:
        - name: \(quoted(clusterName))
          cluster:
            certificate-authority-data: \(Base64.encode(authorityPEM))
            server: \(quoted(server))
        users:
        - name: \(quoted(userName))
          user:
            client-certificate-data: \(Base64.encode(certificatePEM))
            client-key-data: \(Base64.encode(keyPEM))
        contexts:
        - name: \(quoted(clusterName))
          context:
            cluster: \(quoted(clusterName))
            user: \(quoted(userName))
        current-context: \(quoted(clusterName))
        preferences: {}

        """
    }

    /// A YAML double-quoted scalar, whose escapes contain those of JSON; the names here are plain in practice.
    private func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case _ where scalar.value < 0x20: result += "\\x" + hexadecimal([UInt8(scalar.value)])
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }

    /// Writes the file, readable for root and a group: mode 0640 where the group exists, otherwise 0600.
    ///
    /// A file that has this content, mode and group already is not written again.
    ///
    /// - Parameter groupFile: where groups are listed, group(5).
    /// - Returns: whether the file was written.
    @discardableResult
    package func write(
        to path: String, group: String = "swiftlet", groupFile: String = "/etc/group"
    ) throws -> Bool {
        let components = path.split(separator: "/")
        guard path.hasPrefix("/"), let name = components.last.map(String.init) else {
            throw ClusterFormationError(
                operation: "write the kubeconfig", path: path, reason: "not an absolute path", remedy: "configure one")
        }
        let directory = try DirectoryHandle.create(path: "/" + components.dropLast().joined(separator: "/"))
        let owner = try Self.groupNumber(group, in: groupFile)
        let permissions: UInt32 = owner == nil ? 0o600 : 0o640
        let content = Array(yaml.utf8)
        if let status = try directory.status(of: name), status.permissions == permissions,
            status.group == owner ?? status.group, status.size == UInt64(content.count),
            try directory.readFile(name, limit: content.count) == content
        {
            return false
        }
        try directory.replaceFile(name, with: content, permissions: permissions, group: owner)
        return true
    }

    /// What a writing that was broken off leaves beside a file.
    package static func unfinishedPath(of path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return "\(Files.directory(of: path))/\(DirectoryHandle.unfinishedName(of: name))"
    }

    /// The number of a local group; nil where there is no such group.
    private static func groupNumber(_ group: String, in path: String) throws -> UInt32? {
        let file = try FileDescriptor.open(reading: path)
        let text = String(decoding: try file.bytes(limit: 1 << 20, path), as: UTF8.self)
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            if fields.count >= 3, fields[0] == group { return UInt32(fields[2]) }
        }
        return nil
    }
}
