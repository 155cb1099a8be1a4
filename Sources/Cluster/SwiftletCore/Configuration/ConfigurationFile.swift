// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// Why a configuration cannot be used.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The file, or empty when the error is not about one.
    package let file: String
    /// The field's path, `network.bridge`.
    package let field: String
    package let reason: String

    package init(file: String = "", field: String = "", reason: String) {
        self.file = file
        self.field = field
        self.reason = reason
    }

    package var description: String {
        let place = [file, field].filter { !$0.isEmpty }.joined(separator: ": ")
        return place.isEmpty ? reason : "\(place): \(reason)"
    }
}

extension Configuration {
    /// Reads a configuration file; one that is missing means the defaults.
    ///
    /// - Throws: ``ConfigurationError`` that names the file, the field and the remedy.
    package static func load(_ path: String, required: Bool) throws -> Configuration {
        guard let text = try text(of: path, required: required) else { return Configuration() }
        do {
            return try Configuration(yaml: text)
        } catch let error as ConfigurationError {
            throw ConfigurationError(file: path, field: error.field, reason: error.reason)
        }
    }

    private static func text(of path: String, required: Bool) throws -> String? {
        do {
            return try Files.readText(path)
        } catch {
            if error.errno == Errno.ENOENT, !required { return nil }
            throw ConfigurationError(file: path, reason: "cannot be read: \(error.reason)")
        }
    }

    /// Reads a configuration from YAML text.
    ///
    /// - Throws: ``ConfigurationError``.
    package init(yaml: String) throws {
        let document = try YAMLDocument.parse(yaml)
        self.init()
        guard !document.isNull else { return }
        var reader = try FieldReader(document, path: "")
        try read(&reader)
        try reader.finish()
        try validate()
    }

    private mutating func read(_ reader: inout FieldReader) throws {
        try reader.string("nodeName", &nodeName)
        try reader.list("nodeAddresses") { text, field in
            guard let address = IPAddress(text) else {
                throw ConfigurationError(field: field, reason: "\"\(text)\" is not an IP address")
            }
            nodeAddresses.append(address)
        }
        try reader.section("directories") { reader in
            try reader.path("state", &directories.state)
            try reader.path("run", &directories.run)
            try reader.path("logs", &directories.logs)
            try reader.path("configuration", &directories.configuration)
            try reader.path("executables", &directories.executables)
        }
        try reader.section("api") { reader in
            try reader.string("bindAddress", &api.bindAddress)
            try reader.integer("port", &api.port, in: 1...65535)
            try reader.list("certificateNames") { text, _ in api.certificateNames.append(text) }
            try reader.flag("multicastDNS", &api.multicastDNS)
        }
        try reader.section("kubelet") { reader in
            try reader.integer("port", &kubelet.port, in: 1...65535)
            try reader.integer("maxPods", &kubelet.maxPods, in: 1...1000)
            try reader.path("cgroupRoot", &kubelet.cgroupRoot)
            try reader.choice("cgroupDriver", &kubelet.cgroupDriver)
            try reader.string("reservedMemory", &kubelet.reservedMemory)
            try reader.string("reservedCPU", &kubelet.reservedCPU)
            try reader.string("staticPodDirectory", &kubelet.staticPodDirectory)
            try reader.duration("shutdownGracePeriod", &kubelet.shutdownGracePeriod, upTo: Self.longestShutdown)
            try reader.duration(
                "shutdownGracePeriodCriticalPods", &kubelet.shutdownGracePeriodCriticalPods, upTo: Self.longestShutdown)
        }
        try readNetwork(&reader)
        try reader.section("certificates") { reader in
            try reader.integer("lifetimeMinutes", &certificates.lifetimeMinutes, in: 1...525_600)
        }
        try reader.section("storage") { reader in
            try reader.integer("checkpointMinutes", &storage.checkpointMinutes, in: 1...1440)
        }
        try readImages(&reader)
        try reader.section("log") { reader in
            try reader.string("level", &log.level)
            try reader.flag("containersToJournal", &log.containersToJournal)
            try reader.integer("journalLinesPerSecond", &log.journalLinesPerSecond, in: 1...100_000)
        }
    }

    /// Nobody waits longer for a machine to go down.
    private static let longestShutdown = Duration.seconds(3600)

    private mutating func readNetwork(_ reader: inout FieldReader) throws {
        try reader.section("network") { reader in
            try reader.string("clusterCIDR", &network.clusterCIDR)
            try reader.string("nodeCIDR", &network.nodeCIDR)
            try reader.integer(
                "nodeCIDRMaskSizeIPv6", &network.nodeCIDRMaskSizeIPv6, in: 16...Self.longestPrefixV6)
            try reader.string("serviceCIDR", &network.serviceCIDR)
            try reader.string("serviceNodePortRange", &network.serviceNodePortRange)
            try reader.string("clusterDomain", &network.clusterDomain)
            try reader.string("bridge", &network.bridge)
            try reader.string("table", &network.table)
            try reader.integer("vxlanPort", &network.vxlanPort, in: 1...65535)
        }
    }

    private mutating func readImages(_ reader: inout FieldReader) throws {
        try reader.section("images") { reader in
            try reader.map("registries") { host, reader in
                var registry = Images.Registry()
                try reader.list("mirrors") { text, _ in registry.mirrors.append(text) }
                try reader.flag("insecure", &registry.insecure)
                try reader.string("certificateAuthorityFile", &registry.certificateAuthorityFile)
                images.registries[host] = registry
            }
        }
    }
}
