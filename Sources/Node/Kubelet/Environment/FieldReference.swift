// SPDX-License-Identifier: Apache-2.0

package import JSON
import KubeAPI

/// Values of `fieldRef` and `resourceFieldRef`, for env and downward API volumes.
package struct FieldReference {
    /// The node's own facts that a reference may ask for.
    package struct NodeFacts: Sendable {
        package var hostAddresses: [String]
        package var podAddresses: [String]
        /// What a container without a limit may use at most, by resource name: thousandths for CPU, else units.
        package var allocatable: [String: Int64]

        package init(hostAddresses: [String], podAddresses: [String], allocatable: [String: Int64]) {
            self.hostAddresses = hostAddresses
            self.podAddresses = podAddresses
            self.allocatable = allocatable
        }
    }

    private let pod: Pod
    private let node: NodeFacts

    package init(pod: Pod, node: NodeFacts) {
        self.pod = pod
        self.node = node
    }

    /// The value of a field path such as `metadata.labels['app']`; throws where the path is not supported.
    package func value(ofField path: String) throws(ConfigurationError) -> String {
        if let open = path.firstIndex(of: "["), path.hasSuffix("']"), path[open...].hasPrefix("['") {
            let key = String(path[path.index(open, offsetBy: 2)..<path.index(path.endIndex, offsetBy: -2)])
            switch path[..<open] {
            case "metadata.labels": return pod.object.labels[key] ?? ""
            case "metadata.annotations": return pod.object.annotations[key] ?? ""
            default: break
            }
        }
        switch path {
        case "metadata.name": return pod.name
        case "metadata.namespace": return pod.namespace
        case "metadata.uid": return pod.uid
        case "metadata.labels": return Self.mapText(pod.object.labels)
        case "metadata.annotations": return Self.mapText(pod.object.annotations)
        case "spec.nodeName": return pod.nodeName
        case "spec.serviceAccountName": return pod.serviceAccountName
        case "status.hostIP": return node.hostAddresses.first ?? ""
        case "status.hostIPs": return node.hostAddresses.joined(separator: ",")
        case "status.podIP": return node.podAddresses.first ?? ""
        case "status.podIPs": return node.podAddresses.joined(separator: ",")
        default: throw ConfigurationError("unsupported fieldPath: \(path)")
        }
    }

    /// The value of a `resourceFieldRef`; `container` is the one it names, or the one whose env it stands in.
    package func value(ofResource reference: JSON, in container: PodContainer) throws(ConfigurationError) -> String {
        let name = reference["resource"]?.string ?? ""
        let parts = name.split(separator: ".", maxSplits: 1)
        guard parts.count == 2, parts[0] == "limits" || parts[0] == "requests" else {
            throw ConfigurationError("unsupported container resource : \(name)")
        }
        let resource = String(parts[1])
        let isCPU = resource == "cpu"
        let read: (JSON?) -> Int64? = { isCPU ? ResourceAmount.milli($0) : ResourceAmount.units($0) }
        let limit = read(container.resources["limits"]?[resource]) ?? node.allocatable[resource] ?? 0
        let amount =
            parts[0] == "limits" ? limit : read(container.resources["requests"]?[resource]) ?? 0
        let divisorMilli = reference["divisor"].flatMap { ResourceAmount.milli($0) } ?? 0
        let divisor = divisorMilli == 0 ? (isCPU ? 1000 : 1) : (isCPU ? divisorMilli : max(1, divisorMilli / 1000))
        return String((amount + divisor - 1) / divisor)
    }

    /// A map as downward API files show it: sorted `key="value"` lines with Go's quoting.
    static func mapText(_ map: [String: String]) -> String {
        map.sorted { $0.key < $1.key }.map { "\($0.key)=\(quoted($0.value))" }.joined(separator: "\n")
    }

    /// Go's strconv.Quote for the characters that labels and annotations hold.
    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\t": result += "\\t"
            case "\r": result += "\\r"
            case let control where control.value < 0x20 || control.value == 0x7f:
                let hex = String(control.value, radix: 16)
                result += "\\x" + (hex.count == 1 ? "0" : "") + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

/// A reference in the pod's spec that cannot be resolved: becomes CreateContainerConfigError or FailedMount.
package struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
