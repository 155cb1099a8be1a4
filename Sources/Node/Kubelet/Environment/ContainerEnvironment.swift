// SPDX-License-Identifier: Apache-2.0

import JSON
package import KubeAPI
import LinuxSystem
import PKI

/// Computes a container's environment from every source, in upstream's order of precedence: service links, then
/// `envFrom`, then `env`, whose values may refer to all of them.
package struct ContainerEnvironment {
    /// The objects that references point to, fetched beforehand; nil members were looked for and not found.
    package struct Sources: Sendable {
        package var configMaps: [String: KubeObject] = [:]
        package var secrets: [String: KubeObject] = [:]
        /// Services whose variables the pod gets: those of its namespace, and `kubernetes` of the default one.
        package var services: [KubeObject] = []

        package init() {}
    }

    private let pod: Pod
    private let container: PodContainer
    private let sources: Sources
    private let fields: FieldReference

    package init(pod: Pod, container: PodContainer, sources: Sources, node: FieldReference.NodeFacts) {
        self.pod = pod
        self.container = container
        self.sources = sources
        fields = FieldReference(pod: pod, node: node)
    }

    /// The ConfigMaps and Secrets that the container's environment refers to.
    package static func references(of container: PodContainer) -> (configMaps: Set<String>, secrets: Set<String>) {
        var configMaps: Set<String> = []
        var secrets: Set<String> = []
        for entry in container.environmentSources {
            if let name = entry["configMapRef"]?["name"]?.string { configMaps.insert(name) }
            if let name = entry["secretRef"]?["name"]?.string { secrets.insert(name) }
        }
        for entry in container.environment {
            if let name = entry["valueFrom"]?["configMapKeyRef"]?["name"]?.string { configMaps.insert(name) }
            if let name = entry["valueFrom"]?["secretKeyRef"]?["name"]?.string { secrets.insert(name) }
        }
        return (configMaps, secrets)
    }

    /// The variables in the order in which they were defined, each name once.
    package func variables() throws(ConfigurationError) -> [(name: String, value: String)] {
        var values = OrderedVariables()
        for (name, value) in serviceVariables() { values.set(name, value) }
        for entry in container.environmentSources { try addAll(of: entry, to: &values) }
        for entry in container.environment {
            guard let name = entry["name"]?.string else { continue }
            if let value = try value(of: entry, known: values) { values.set(name, value) }
        }
        return values.list
    }

    // MARK: envFrom

    private func addAll(of entry: JSON, to values: inout OrderedVariables) throws(ConfigurationError) {
        let prefix = entry["prefix"]?.string ?? ""
        if let reference = entry["configMapRef"] {
            guard let object = try object(reference, kind: "configmap", in: sources.configMaps) else { return }
            for (key, value) in sorted(object.json["data"]) where Self.isVariableName(prefix + key) {
                values.set(prefix + key, value.string ?? "")
            }
        }
        if let reference = entry["secretRef"] {
            guard let object = try object(reference, kind: "secret", in: sources.secrets) else { return }
            for (key, value) in sorted(object.json["data"]) where Self.isVariableName(prefix + key) {
                values.set(prefix + key, Self.decoded(value))
            }
        }
    }

    private func sorted(_ data: JSON?) -> [(key: String, value: JSON)] {
        (data?.members ?? [:]).sorted { $0.key < $1.key }
    }

    private func object(
        _ reference: JSON, kind: String, in known: [String: KubeObject]
    ) throws(ConfigurationError) -> KubeObject? {
        let name = reference["name"]?.string ?? ""
        if let object = known[name] { return object }
        if reference["optional"]?.bool == true { return nil }
        throw ConfigurationError("\(kind) \"\(name)\" not found")
    }

    /// Whether a name may be an environment variable: upstream relaxed it to printable ASCII without `=` (1.34).
    static func isVariableName(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7f && $0 != UInt8(ascii: "=") }
    }

    // MARK: env

    private func value(of entry: JSON, known: OrderedVariables) throws(ConfigurationError) -> String? {
        guard let source = entry["valueFrom"] else {
            return Expansion.expand(entry["value"]?.string ?? "") { known[$0] }
        }
        if let reference = source["fieldRef"] {
            return try fields.value(ofField: reference["fieldPath"]?.string ?? "")
        }
        if let reference = source["resourceFieldRef"] {
            let name = reference["containerName"]?.string ?? ""
            guard let other = name.isEmpty ? container : pod.container(named: name) else {
                throw ConfigurationError("container \(name) not found")
            }
            return try fields.value(ofResource: reference, in: other)
        }
        if let reference = source["configMapKeyRef"] {
            guard let object = try object(reference, kind: "configmap", in: sources.configMaps) else { return nil }
            let key = reference["key"]?.string ?? ""
            if let value = object.json["data"]?[key]?.string { return value }
            return try missing(key, reference, "ConfigMap \(pod.namespace)/\(object.name)")
        }
        if let reference = source["secretKeyRef"] {
            guard let object = try object(reference, kind: "secret", in: sources.secrets) else { return nil }
            let key = reference["key"]?.string ?? ""
            if let value = object.json["data"]?[key] { return Self.decoded(value) }
            return try missing(key, reference, "Secret \(pod.namespace)/\(object.name)")
        }
        return ""
    }

    private func missing(_ key: String, _ reference: JSON, _ owner: String) throws(ConfigurationError) -> String? {
        if reference["optional"]?.bool == true { return nil }
        throw ConfigurationError("couldn't find key \(key) in \(owner)")
    }

    /// A Secret's value as text.
    private static func decoded(_ value: JSON) -> String {
        String(decoding: Base64.decode(value.string ?? "") ?? [], as: UTF8.self)
    }

    // MARK: Service links

    /// `FOO_SERVICE_HOST` and Docker's link variables of the services that the pod sees (upstream: envvars.FromServices).
    private func serviceVariables() -> [(String, String)] {
        let links = pod.spec["enableServiceLinks"]?.bool ?? true
        var result: [(String, String)] = []
        for service in sources.services.sorted(by: { $0.name < $1.name }) {
            let isMaster = service.namespace == "default" && service.name == "kubernetes"
            guard isMaster || links && service.namespace == pod.namespace else { continue }
            let address = service.spec["clusterIP"]?.string ?? ""
            let ports = service.spec["ports"]?.elements ?? []
            guard !address.isEmpty, address != "None", let first = ports.first else { continue }
            let prefix = Self.variablePrefix(service.name)
            result.append(("\(prefix)_SERVICE_HOST", address))
            result.append(("\(prefix)_SERVICE_PORT", "\(first["port"]?.int ?? 0)"))
            for port in ports {
                guard let name = port["name"]?.string, !name.isEmpty else { continue }
                result.append(("\(prefix)_SERVICE_PORT_\(Self.variablePrefix(name))", "\(port["port"]?.int ?? 0)"))
            }
            result += linkVariables(prefix, address, ports)
        }
        return result
    }

    private func linkVariables(_ prefix: String, _ address: String, _ ports: [JSON]) -> [(String, String)] {
        var result: [(String, String)] = []
        for (index, port) in ports.enumerated() {
            let number = port["port"]?.int ?? 0
            let kind = (port["protocol"]?.string ?? "TCP")
            let url = "\(kind.lowercased())://\(HostPort.text(address, number))"
            if index == 0 { result.append(("\(prefix)_PORT", url)) }
            let name = "\(prefix)_PORT_\(number)_\(kind.uppercased())"
            result += [
                (name, url), ("\(name)_PROTO", kind.lowercased()), ("\(name)_PORT", "\(number)"),
                ("\(name)_ADDR", address),
            ]
        }
        return result
    }

    private static func variablePrefix(_ name: String) -> String {
        String(name.uppercased().map { $0 == "-" ? "_" : $0 })
    }
}

/// Variables by name, in the order of their first definition.
struct OrderedVariables {
    private(set) var list: [(name: String, value: String)] = []
    private var positions: [String: Int] = [:]

    subscript(name: String) -> String? { positions[name].map { list[$0].value } }

    mutating func set(_ name: String, _ value: String) {
        if let position = positions[name] {
            list[position].value = value
        } else {
            positions[name] = list.count
            list.append((name, value))
        }
    }
}
