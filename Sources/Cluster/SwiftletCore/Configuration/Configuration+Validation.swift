// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import LinuxSystem
import Logging

extension Configuration {
    /// Checks what no single field can say.
    ///
    /// - Throws: ``ConfigurationError`` that names the field.
    func validate() throws {
        _ = try range("network.serviceCIDR", network.serviceCIDR)
        try validatePodRanges()
        guard network.bridge.utf8.count <= 15, !network.bridge.isEmpty else {
            throw ConfigurationError(
                field: "network.bridge", reason: "\"\(network.bridge)\" must have 1 to 15 characters")
        }
        guard Logger.Level(rawValue: log.level) != nil else {
            let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw ConfigurationError(field: "log.level", reason: "\"\(log.level)\" must be one of \(levels)")
        }
        guard IPAddress(api.bindAddress) != nil else {
            throw ConfigurationError(
                field: "api.bindAddress",
                reason: "\"\(api.bindAddress)\" is not an address such as 192.168.1.20, or 0.0.0.0 for all of them")
        }
        if !nodeName.isEmpty, !NodeName.isValid(nodeName) {
            throw ConfigurationError(
                field: "nodeName",
                reason: "\"\(nodeName)\" must consist of lower case letters, digits, '-' and '.', and begin and end"
                    + " with a letter or digit")
        }
        // The default is not more than there is: who wants no waiting says so once.
        guard
            kubelet.shutdownGracePeriodCriticalPods
                <= max(kubelet.shutdownGracePeriod, Kubelet().shutdownGracePeriodCriticalPods)
        else {
            throw ConfigurationError(
                field: "kubelet.shutdownGracePeriodCriticalPods",
                reason: "must not be more than kubelet.shutdownGracePeriod, of which it is a part")
        }
        guard portRange != nil else {
            throw ConfigurationError(
                field: "network.serviceNodePortRange",
                reason: "\"\(network.serviceNodePortRange)\" must be a range such as 30000-32767")
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
