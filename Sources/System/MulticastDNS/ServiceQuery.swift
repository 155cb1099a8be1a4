// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Somebody on a link who says to offer a service. Nothing of it is proven.
package struct ServiceSighting: Hashable, Sendable {
    package let address: IPAddress
    package let port: UInt16
    /// `key=value`
    package let attributes: [String]
}

/// A question for a service and what comes back, as one who does not take part in multicast DNS asks it (RFC 6762, 5.1);
/// no I/O.
package struct ServiceQuery: Sendable {
    /// So many places are remembered, and so many of one answer.
    package static let limit = 16
    private static let limitOfAnswer = 4
    /// Longer texts of a service say nothing here.
    private static let attributeLimit = 16

    private let service: DNSName
    private let id: UInt16
    private let isWanted: @Sendable (ServiceSighting) -> Bool
    /// What was found so far, each place once.
    package private(set) var sightings: [ServiceSighting] = []

    /// - Parameters:
    ///   - id: unpredictable, so that answers cannot be sent without having seen the question.
    ///   - isWanted: whether a place is worth remembering.
    package init(
        _ service: DNSName, id: UInt16, isWanted: @escaping @Sendable (ServiceSighting) -> Bool = { _ in true }
    ) {
        self.service = service
        self.id = id
        self.isWanted = isWanted
    }

    /// The datagram to send.
    package var bytes: [UInt8] {
        var message = DNSMessage()
        message.id = id
        message.questions = [.init(service, .ptr, wantsUnicast: true)]
        return message.bytes
    }

    /// Takes in a datagram that came to where the question was sent from.
    ///
    /// - Parameters:
    ///   - source: who sent it, for the sender is a likely place of the service itself.
    ///   - link: the link that it came by; what is not of its networks was not sent on it (RFC 6762, 11).
    package mutating func receive(_ bytes: [UInt8], from source: IPAddress, port: UInt16, on link: MulticastLink) {
        guard port == MulticastLink.port, link.isNeighbour(source), sightings.count < Self.limit else { return }
        // What is no message is no answer.
        guard let message = try? DNSMessage(bytes: bytes), message.isResponse, message.opcode == 0,
            message.responseCode == 0, message.id == id
        else { return }
        let records = message.answers + message.additionals
        var found: [ServiceSighting] = []
        for record in message.answers where record.name == service {
            guard case .pointer(let instance) = record.data else { continue }
            found += places(of: instance, records, source)
        }
        for sighting in found.prefix(Self.limitOfAnswer)
        where sightings.count < Self.limit && !sightings.contains(sighting) && isWanted(sighting) {
            sightings.append(sighting)
        }
    }

    private func places(
        of instance: DNSName, _ records: [DNSMessage.Record], _ source: IPAddress
    ) -> [ServiceSighting] {
        var attributes: [String] = []
        for record in records where record.name == instance {
            guard case .text(let strings) = record.data else { continue }
            attributes += strings.prefix(Self.attributeLimit).map { String(decoding: $0, as: UTF8.self) }
            break
        }
        for record in records where record.name == instance {
            guard case .service(_, _, let port, let target) = record.data, port != 0 else { continue }
            var addresses = [source]
            for record in records where record.name == target {
                guard case .address(let address) = record.data, !addresses.contains(address) else { continue }
                addresses.append(address)
            }
            return addresses.filter { !$0.isUnspecified && !$0.isLoopback }.map {
                ServiceSighting(address: $0, port: port, attributes: attributes)
            }
        }
        return []
    }
}
