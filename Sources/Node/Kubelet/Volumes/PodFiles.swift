// SPDX-License-Identifier: Apache-2.0

import JSON

/// The texts of /etc/hosts and /etc/resolv.conf in a pod.
package enum PodFiles {
    /// `/etc/hosts` of a pod with a network of its own (upstream: ensureHostsFile).
    package static func hosts(of pod: Pod, addresses: [String], domain: String) -> String {
        var text = "# Kubernetes-managed hosts file.\n"
        text += "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        text += "fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        let qualified = qualifiedName(of: pod, domain: domain)
        for address in addresses {
            let names = qualified == pod.hostname ? pod.hostname : "\(qualified)\t\(pod.hostname)"
            text += "\(address)\t\(names)\n"
        }
        return text + aliases(of: pod)
    }

    /// `/etc/hosts` of a pod on the host's network: the host's own with the aliases.
    package static func hosts(of pod: Pod, hostFile: String) -> String {
        "# Kubernetes-managed hosts file (host network).\n" + hostFile + aliases(of: pod)
    }

    private static func aliases(of pod: Pod) -> String {
        let aliases = pod.spec["hostAliases"]?.elements ?? []
        if aliases.isEmpty { return "" }
        var text = "\n# Entries added by HostAliases.\n"
        for alias in aliases {
            let names = (alias["hostnames"]?.elements ?? []).compactMap(\.string).joined(separator: "\t")
            text += "\(alias["ip"]?.string ?? "")\t\(names)\n"
        }
        return text
    }

    /// `host.subdomain.namespace.svc.domain`, or the host name alone without a subdomain.
    package static func qualifiedName(of pod: Pod, domain: String) -> String {
        pod.subdomain.isEmpty || pod.spec["hostnameOverride"]?.string?.isEmpty == false
            ? pod.hostname : "\(pod.hostname).\(pod.subdomain).\(pod.namespace).svc.\(domain)"
    }
}

/// The parts of a resolv.conf(5).
package struct ResolverConfiguration: Hashable, Sendable {
    package var servers: [String] = []
    package var searches: [String] = []
    package var options: [String] = []

    /// The limits that upstream keeps: 3 servers, 32 search domains of 2048 characters in all.
    private static let serverLimit = 3
    private static let searchLimit = 32

    package init(servers: [String] = [], searches: [String] = [], options: [String] = []) {
        self.servers = servers
        self.searches = searches
        self.options = options
    }

    /// Reads a file's text; of several `search` or `options` lines the last wins.
    package init(parsing text: String) {
        for line in text.split(separator: "\n") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            switch words.first {
            case "nameserver": servers += words.dropFirst().prefix(1)
            case "search": searches = words.dropFirst().filter { $0 != "." }
            case "options": options = Array(words.dropFirst())
            default: break
            }
        }
    }

    /// The machine's own, as pods are to have it: systemd-resolved's servers where its stub is all that the file names.
    ///
    /// - Parameter read: A file's text, empty where there is none.
    static func ofMachine(
        _ configuration: KubeletConfiguration, read: (String) throws -> String
    ) rethrows -> ResolverConfiguration {
        let usual = ResolverConfiguration(parsing: try read(configuration.resolverPath))
        guard !usual.servers.isEmpty, usual.servers.allSatisfy(isLoopback) else { return usual }
        let behind = ResolverConfiguration(parsing: try read(configuration.resolvedPath))
        return behind.servers.isEmpty ? usual : behind
    }

    /// Whether a server is on the machine that asks: in a network of its own a pod would ask itself.
    private static func isLoopback(_ server: String) -> Bool {
        server.hasPrefix("127.") || server == "::1" || server.lowercased().hasPrefix("::ffff:127.")
    }

    /// The pod's own, by its `dnsPolicy` and `dnsConfig` (upstream: dns.Configurer.GetPodDNS).
    package init(pod: Pod, host: ResolverConfiguration, clusterServers: [String], clusterDomain: String) {
        let policy = pod.spec["dnsPolicy"]?.string ?? "ClusterFirst"
        let usesCluster =
            policy == "ClusterFirstWithHostNet" || policy == "ClusterFirst" && !pod.hostNetwork
        switch policy {
        case "None": self.init()
        case _ where usesCluster && !clusterServers.isEmpty:
            let own = ["\(pod.namespace).svc.\(clusterDomain)", "svc.\(clusterDomain)", clusterDomain]
            self.init(servers: clusterServers, searches: own + host.searches, options: ["ndots:5"])
        default:
            self = host
            if !pod.hostNetwork { servers.removeAll(where: Self.isLoopback) }
        }
        append(pod.spec["dnsConfig"] ?? .null)
    }

    private mutating func append(_ config: JSON) {
        for server in (config["nameservers"]?.elements ?? []).compactMap(\.string) where !servers.contains(server) {
            servers.append(server)
        }
        for search in (config["searches"]?.elements ?? []).compactMap(\.string) where !searches.contains(search) {
            searches.append(search)
        }
        for option in config["options"]?.elements ?? [] {
            guard let name = option["name"]?.string else { continue }
            options.removeAll { $0 == name || $0.hasPrefix("\(name):") }
            options.append(option["value"]?.string.map { "\(name):\($0)" } ?? name)
        }
        servers = Array(servers.prefix(Self.serverLimit))
        searches = Array(searches.prefix(Self.searchLimit))
    }

    /// The file's text.
    package var text: String {
        var text = ""
        if !searches.isEmpty { text += "search \(searches.joined(separator: " "))\n" }
        for server in servers { text += "nameserver \(server)\n" }
        if !options.isEmpty { text += "options \(options.joined(separator: " "))\n" }
        return text
    }
}
