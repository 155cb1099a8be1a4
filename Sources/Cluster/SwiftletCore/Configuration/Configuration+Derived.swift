// SPDX-License-Identifier: Apache-2.0

package import ContainerImages
package import Logging
package import Systemd

extension Configuration {
    /// Where the administrator's kubeconfig is written.
    package var kubeconfigPath: String { "\(directories.configuration)/admin.kubeconfig" }

    /// How the node's images are kept.
    package var imageService: ImageServiceConfiguration {
        var result = ImageServiceConfiguration(directory: "\(directories.state)/images")
        for (host, registry) in images.registries {
            let caFile = registry.certificateAuthorityFile.isEmpty ? nil : registry.certificateAuthorityFile
            var endpoints = registry.mirrors.map { mirror in
                RegistryConfiguration.Endpoint(
                    url: mirror.contains("://") ? mirror : "https://\(mirror)", caFile: caFile,
                    skipVerify: registry.insecure)
            }
            endpoints.append(
                .init(
                    url: "\(registry.insecure ? "http" : "https")://\(host)", caFile: caFile,
                    skipVerify: registry.insecure))
            result.registries.endpoints[host] = endpoints
        }
        return result
    }
}

/// Where log entries go.
package enum StandardLogging {
    /// The journal under systemd, standard error elsewhere.
    package static func handler(_ label: String) -> any LogHandler {
        LogOutput.automatic.handler(label: label)
    }
}
