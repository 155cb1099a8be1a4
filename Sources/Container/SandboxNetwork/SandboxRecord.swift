// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem

/// What is known about a sandbox on disk: written before anything is made, so that everything can be undone.
struct SandboxRecord: Hashable {
    let sandboxID: String
    let address: IPAddress
    let addressV6: IPAddress?
    let linkName: String
    let portMappings: [PortMapping]
    /// Kernel parameters of the link inside, which go with it: for a link that has to be made again.
    let linkParameters: [String: String]
    /// Whether the sandbox was set up to its end.
    var isComplete = false

    var addresses: [IPAddress] { [address] + [addressV6].compactMap { $0 } }

    init(
        sandboxID: String, address: IPAddress, addressV6: IPAddress? = nil, linkName: String,
        portMappings: [PortMapping], linkParameters: [String: String] = [:]
    ) {
        self.sandboxID = sandboxID
        self.address = address
        self.addressV6 = addressV6
        self.linkName = linkName
        self.portMappings = portMappings
        self.linkParameters = linkParameters
    }

    /// Reads what ``serialized()`` wrote; nil for anything else.
    init?(_ bytes: [UInt8]) {
        // A damaged record is treated like none: its sandbox is taken apart by its name.
        guard let json = try? JSON.parse(bytes), let sandboxID = json["sandbox"]?.string,
            let address = json["address"]?.string.flatMap({ IPAddress($0) }), let linkName = json["link"]?.string
        else { return nil }
        self.init(
            sandboxID: sandboxID, address: address,
            addressV6: json["addressV6"]?.string.flatMap { IPAddress($0) }, linkName: linkName,
            portMappings: (json["ports"]?.elements ?? []).compactMap(PortMapping.init),
            linkParameters: json["linkParameters"]?.stringMap ?? [:])
        isComplete = json["complete"]?.bool ?? false
    }

    func serialized() -> [UInt8] {
        var json: JSON = [
            "sandbox": .string(sandboxID), "address": .string("\(address)"), "link": .string(linkName),
            "ports": .array(portMappings.map(\.json)), "complete": .bool(isComplete),
        ]
        if !linkParameters.isEmpty { json["linkParameters"] = JSON(linkParameters) }
        if let addressV6 { json["addressV6"] = .string("\(addressV6)") }
        return json.serialized()
    }
}

extension PortMapping {
    fileprivate init?(_ json: JSON) {
        guard let transport = json["protocol"]?.string.flatMap(TransportProtocol.init),
            let hostPort = json["hostPort"]?.int.flatMap({ UInt16(exactly: $0) }),
            let sandboxPort = json["sandboxPort"]?.int.flatMap({ UInt16(exactly: $0) })
        else { return nil }
        self.init(
            transport, hostPort: hostPort, sandboxPort: sandboxPort,
            hostAddress: json["hostAddress"]?.string.flatMap { IPAddress($0) })
    }

    fileprivate var json: JSON {
        var json: JSON = [
            "protocol": .string(transport.rawValue), "hostPort": JSON(Int(hostPort)),
            "sandboxPort": JSON(Int(sandboxPort)),
        ]
        if let hostAddress { json["hostAddress"] = .string("\(hostAddress)") }
        return json
    }
}
