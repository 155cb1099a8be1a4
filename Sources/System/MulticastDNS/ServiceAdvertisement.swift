// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A service of this machine and how it answers queries for it (RFC 6762 and 6763); no I/O.
///
/// It answers when it is asked and does nothing else: it does not announce itself, and neither probes for its names nor
/// claims them alone (no cache-flush bit), so that it lives beside a responder of the operating system that has the
/// same host name. Who uses an answer must prove what it says by other means.
package struct ServiceAdvertisement: Hashable, Sendable {
    /// Seconds, as RFC 6762 (10) recommends them.
    private static let hostTimeToLive: UInt32 = 120
    private static let otherTimeToLive: UInt32 = 4500
    /// The most for those who ask without knowing of multicast DNS (RFC 6762, 6.7).
    private static let legacyTimeToLive: UInt32 = 10
    /// What kinds of service there are (RFC 6763, 9).
    private static let enumeration = DNSName("_services._dns-sd._udp.local")

    /// `_example._tcp.local`
    package let service: DNSName
    /// Its instance on this machine, below ``service``.
    package let instance: DNSName
    /// `pi.local`
    package let host: DNSName
    package let port: UInt16
    /// `key=value`, at most 255 bytes each.
    package let attributes: [String]

    /// Nil where the label of the instance is empty or longer than 63 bytes.
    package init?(service: DNSName, instance: String, host: DNSName, port: UInt16, attributes: [String]) {
        guard let name = service.child(instance) else { return nil }
        self.service = service
        self.instance = name
        self.host = host
        self.port = port
        self.attributes = attributes
    }

    /// How and by whom a query came.
    package struct Asking: Hashable, Sendable {
        /// Whether it came from another port than multicast DNS's: then the answer is one of ordinary DNS.
        package var isLegacy: Bool
        /// This machine's addresses on the link that it came by.
        package var addresses: [IPAddress]

        package init(isLegacy: Bool, addresses: [IPAddress]) {
            self.isLegacy = isLegacy
            self.addresses = addresses
        }
    }

    /// The answer to a query; nil where there is nothing to say.
    package func answer(_ query: DNSMessage, _ asking: Asking) -> DNSMessage? {
        guard !query.isResponse, query.opcode == 0 else { return nil }
        var answer = DNSMessage()
        for question in query.questions {
            for record in records(for: question, asking) where !answer.answers.contains(record) {
                answer.answers.append(record)
            }
        }
        // What the asker knows well enough is not repeated (RFC 6762, 7.1).
        answer.answers.removeAll { record in
            query.answers.contains {
                $0.name == record.name && $0.data == record.data && $0.timeToLive >= record.timeToLive / 2
            }
        }
        guard !answer.answers.isEmpty else { return nil }
        answer.additionals = additionals(to: answer.answers, asking)
        answer.isResponse = true
        answer.isAuthoritative = true
        guard asking.isLegacy else { return answer }
        answer.id = query.id
        answer.questions = query.questions
        for index in answer.answers.indices { answer.answers[index].timeToLive = Self.legacyTimeToLive }
        for index in answer.additionals.indices { answer.additionals[index].timeToLive = Self.legacyTimeToLive }
        return answer
    }

    private func records(for question: DNSMessage.Question, _ asking: Asking) -> [DNSMessage.Record] {
        guard [DNSMessage.internetClass, DNSMessage.anyClass].contains(question.recordClass) else { return [] }
        let all: [DNSMessage.Record] =
            switch question.name {
            case service: [.init(service, timeToLive: Self.otherTimeToLive, .pointer(instance))]
            case instance: [location, text]
            case host: hostRecords(asking)
            case Self.enumeration: [.init(question.name, timeToLive: Self.otherTimeToLive, .pointer(service))]
            default: []
            }
        return all.filter { question.kind == .any || question.kind == $0.data.kind }
    }

    /// What the asker will want to know next (RFC 6763, 12).
    private func additionals(to answers: [DNSMessage.Record], _ asking: Asking) -> [DNSMessage.Record] {
        var records: [DNSMessage.Record] = []
        if answers.contains(where: { $0.data == .pointer(instance) }) { records += [location, text] }
        if (answers + records).contains(where: { $0.data.kind == .srv }) { records += hostRecords(asking) }
        return records.filter { !answers.contains($0) }
    }

    private var location: DNSMessage.Record {
        .init(
            instance, timeToLive: Self.hostTimeToLive,
            .service(priority: 0, weight: 0, port: port, target: host))
    }

    private var text: DNSMessage.Record {
        let strings = attributes.map { Array($0.utf8.prefix(255)) }
        // A record must have a string (RFC 6763, 6.1).
        return .init(instance, timeToLive: Self.otherTimeToLive, .text(strings.isEmpty ? [[]] : strings))
    }

    private func hostRecords(_ asking: Asking) -> [DNSMessage.Record] {
        asking.addresses.map { .init(host, timeToLive: Self.hostTimeToLive, .address($0)) }
    }
}
