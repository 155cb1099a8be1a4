// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging

extension Configuration {
    /// Checks what no single field can say.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    func validate() throws {
        for (field, text) in [
            ("network.clusterCIDR", network.clusterCIDR), ("network.nodeCIDR", network.nodeCIDR),
            ("network.serviceCIDR", network.serviceCIDR),
        ] where IPNetwork(text) == nil {
            throw ConfigurationError(field: field, reason: "\"\(text)\" is not an address range such as 10.1.0.0/16")
        }
        guard network.bridge.utf8.count <= 15, !network.bridge.isEmpty else {
            throw ConfigurationError(
                field: "network.bridge", reason: "\"\(network.bridge)\" must have 1 to 15 characters")
        }
        guard Logger.Level(rawValue: log.level) != nil else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationError(field: "log.level", reason: "\"\(log.level)\" must be one of \(levels)")
        }
        if !nodeName.isEmpty, !Self.isNodeName(nodeName) {
            throw ConfigurationError(
                field: "nodeName",
                reason: "\"\(nodeName)\" must consist of lower case letters, digits, '-' and '.', and begin and end"
                    + " with a letter or digit")
        }
        guard portRange != nil else {
            throw ConfigurationError(
                field: "network.serviceNodePortRange",
                reason: "\"\(network.serviceNodePortRange)\" must be a range such as 30000-32767")
        }
    }

    /// Whether a name can be a Node's (RFC 1123 subdomain).
    static func isNodeName(_ name: String) -> Bool {
        guard (1...253).contains(name.utf8.count) else { return false }
        return name.split(separator: ".", omittingEmptySubsequences: false).allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last, label.utf8.count <= 63 else { return false }
            func isAlphanumeric(_ byte: UInt8) -> Bool {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
            return isAlphanumeric(first) && isAlphanumeric(last)
                && label.utf8.allSatisfy { isAlphanumeric($0) || $0 == UInt8(ascii: "-") }
        }
    }

    /// The node ports, or nil when the text is no range.
    var portRange: ClosedRange<Int>? {
        let parts = network.serviceNodePortRange.split(separator: "-").compactMap { Int($0) }
        guard parts.count == 2, parts[0] <= parts[1], (1...65535).contains(parts[0]), parts[1] <= 65535 else {
            return nil
        }
        return parts[0]...parts[1]
    }
}
