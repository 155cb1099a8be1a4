// SPDX-License-Identifier: Apache-2.0

import ClusterFormation
package import ContainerImages
import KubeAPI
import LinuxSystem

extension Configuration {
    /// Where the administrator's kubeconfig is written.
    package var kubeconfigPath: String { "\(directories.configuration)/admin.kubeconfig" }

    /// Whether the API server listens at an address of this machine.
    func isServed(at address: IPAddress) -> Bool {
        // What is no address is refused when the configuration is read.
        IPAddress(api.bindAddress).map { $0.isUnspecified || $0 == address } ?? false
    }

    /// The URL of the API server at an address, `https://192.168.1.20:16443`.
    func apiServer(at address: IPAddress) -> String {
        "https://\(HostPort.text("\(address)", api.port))"
    }

    /// The URL by which this machine reaches its own API server.
    var localServer: String {
        let isEverywhere = IPAddress(api.bindAddress)?.isUnspecified == true
        return "https://\(HostPort.text(isEverywhere ? "127.0.0.1" : api.bindAddress, api.port))"
    }

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

extension Configuration {
    /// A field's value as an address range.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    func range(_ field: String, _ text: String) throws -> IPNetwork {
        guard let network = IPNetwork(text) else {
            throw ConfigurationError(field: field, reason: "\"\(text)\" is not an address range such as 10.1.0.0/16")
        }
        return network
    }

    /// A field's value as a quantity.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    func quantity(_ field: String, _ text: String) throws -> Quantity {
        do {
            return try Quantity(text)
        } catch {
            throw ConfigurationError(field: field, reason: "\"\(text)\" is not a quantity such as 128Mi or 100m")
        }
    }

    /// The configuration with what the cluster decides that this machine has joined, if it has joined one.
    ///
    /// A membership that cannot be read, by others than root above all, counts as none.
    package var withMembership: Configuration {
        (try? Membership.load(stateDirectory: directories.state)).map { joined($0) } ?? self
    }

    /// The configuration of a node in somebody else's cluster: what the cluster decides comes from there.
    func joined(_ membership: Membership) -> Configuration {
        var result = self
        result.nodeName = membership.nodeName
        // A node that joined before the cluster got an IPv6 range has no part of it.
        let ranges = membership.cluster.clusterCIDR.split(separator: ",").map(String.init)
        result.network.clusterCIDR = (membership.nodeCIDR.contains(",") ? ranges : Array(ranges.prefix(1)))
            .joined(separator: ",")
        result.network.nodeCIDR = membership.nodeCIDR
        result.network.serviceCIDR = membership.cluster.serviceCIDR
        result.network.clusterDomain = membership.cluster.clusterDomain
        return result
    }
}
