// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import MulticastDNS

/// The two sides of finding a service, without a network between.
@Suite struct ServiceTests {
    let service: DNSName
    let host: DNSName
    let advertisement: ServiceAdvertisement
    let link: MulticastLink

    init() throws {
        service = try #require(DNSName("_swiftlet._tcp.local"))
        host = try #require(DNSName("pi.local"))
        advertisement = try #require(
            ServiceAdvertisement(
                service: service, instance: "pi", host: host, port: 16443, attributes: ["ca=6f1c"]))
        link = MulticastLink(
            index: 2, name: "eth0", networks: [try #require(IPNetwork("192.168.1.20/24"))])
    }

    private func address(_ text: String) throws -> IPAddress { try #require(IPAddress(text)) }

    private func ask(_ name: String, _ kind: DNSMessage.Kind, isLegacy: Bool = true) throws -> DNSMessage? {
        var query = DNSMessage()
        query.id = 99
        query.questions = [.init(try #require(DNSName(name)), kind)]
        return advertisement.answer(query, .init(isLegacy: isLegacy, addresses: link.addresses))
    }

    @Test func whoAsksForTheServiceIsToldAllOfIt() throws {
        let answer = try #require(try ask("_swiftlet._tcp.local", .ptr))
        #expect(answer.answers.map(\.data) == [.pointer(advertisement.instance)])
        #expect(
            answer.additionals.map(\.data) == [
                .service(priority: 0, weight: 0, port: 16443, target: host), .text([Array("ca=6f1c".utf8)]),
                .address(try address("192.168.1.20")),
            ])
        // RFC 6762, 6.7: an answer of ordinary DNS, not to be remembered for long.
        #expect(answer.id == 99 && answer.questions.count == 1 && answer.isResponse)
        #expect((answer.answers + answer.additionals).allSatisfy { $0.timeToLive == 10 && !$0.flushesCache })
    }

    @Test func neighboursOfMulticastDNSGetAnswersWithoutQuestion() throws {
        let answer = try #require(try ask("_SWIFTLET._tcp.local", .ptr, isLegacy: false))
        #expect(answer.id == 0 && answer.questions.isEmpty)
        #expect(answer.answers.map(\.timeToLive) == [4500])
    }

    @Test(
        arguments: [
            ("pi.local", DNSMessage.Kind.a, 1), ("PI.local", .any, 1), ("pi.local", .aaaa, 0), ("other.local", .a, 0),
            ("pi._swiftlet._tcp.local", .srv, 1), ("pi._swiftlet._tcp.local", .any, 2),
            ("_services._dns-sd._udp.local", .ptr, 1), ("_http._tcp.local", .ptr, 0), ("pi.local", .txt, 0),
        ] as [(String, DNSMessage.Kind, Int)])
    func onlyWhatIsOursIsAnswered(name: String, kind: DNSMessage.Kind, count: Int) throws {
        #expect(try ask(name, kind)?.answers.count ?? 0 == count)
    }

    @Test func responsesAndWhatIsKnownGetNoAnswer() throws {
        var query = DNSMessage()
        query.questions = [.init(service, .ptr)]
        let asking = ServiceAdvertisement.Asking(isLegacy: false, addresses: link.addresses)
        query.answers = [.init(service, timeToLive: 2250, .pointer(advertisement.instance))]
        #expect(advertisement.answer(query, asking) == nil)
        query.answers[0].timeToLive = 2249
        #expect(advertisement.answer(query, asking) != nil)
        query.isResponse = true
        #expect(advertisement.answer(query, asking) == nil)
    }

    @Test func aBudgetKeepsFloodsSmall() {
        var budget = AnswerBudget()
        let unicast = (0..<100).count { _ in budget.allows(multicast: false, at: 7) }
        #expect(unicast == AnswerBudget.limit)
        let nextSecond = (0..<100).count { _ in budget.allows(multicast: true, at: 8) }
        #expect(nextSecond == 1)
    }

    // MARK: Asking

    @Test func theAnswerIsUnderstood() throws {
        var query = ServiceQuery(service, id: 4711)
        let question = try DNSMessage(bytes: query.bytes)
        let asking = ServiceAdvertisement.Asking(
            isLegacy: true, addresses: [try address("192.168.1.20"), try address("10.0.0.1")])
        let answer = try #require(advertisement.answer(question, asking))
        query.receive(answer.bytes, from: try address("192.168.1.21"), port: 5353, on: link)
        // The sender first: it is certainly on this link.
        #expect(query.sightings.map(\.address.description) == ["192.168.1.21", "192.168.1.20", "10.0.0.1"])
        #expect(query.sightings.allSatisfy { $0.port == 16443 && $0.attributes == ["ca=6f1c"] })
        // Again: nothing new.
        query.receive(answer.bytes, from: try address("192.168.1.21"), port: 5353, on: link)
        #expect(query.sightings.count == 3)
    }

    @Test func answersToOtherQuestionsOrFromElsewhereDoNotCount() throws {
        var query = ServiceQuery(service, id: 4711)
        let asking = ServiceAdvertisement.Asking(isLegacy: true, addresses: link.addresses)
        var answer = try #require(advertisement.answer(try DNSMessage(bytes: query.bytes), asking))
        let neighbour = try address("192.168.1.21")
        query.receive(answer.bytes, from: try address("192.168.2.21"), port: 5353, on: link)
        query.receive(answer.bytes, from: neighbour, port: 53, on: link)
        query.receive([1, 2, 3], from: neighbour, port: 5353, on: link)
        answer.id = 4712
        query.receive(answer.bytes, from: neighbour, port: 5353, on: link)
        answer.id = 4711
        answer.isResponse = false
        query.receive(answer.bytes, from: neighbour, port: 5353, on: link)
        #expect(query.sightings.isEmpty)
    }

    @Test func aFloodOfPlacesIsCutOff() throws {
        var query = ServiceQuery(service, id: 1) { $0.attributes == ["ca=6f1c"] }
        for number in 1...100 {
            let asking = ServiceAdvertisement.Asking(
                isLegacy: true, addresses: try (1...20).map { try address("10.0.\(number).\($0)") })
            let answer = try #require(advertisement.answer(try DNSMessage(bytes: query.bytes), asking))
            let before = query.sightings.count
            query.receive(answer.bytes, from: try address("192.168.1.\(number)"), port: 5353, on: link)
            #expect(query.sightings.count - before <= 4)
        }
        #expect(query.sightings.count == ServiceQuery.limit)
    }

    @Test func unwantedPlacesTakeNoRoom() throws {
        var query = ServiceQuery(service, id: 1) { $0.attributes == ["ca=other"] }
        let asking = ServiceAdvertisement.Asking(isLegacy: true, addresses: link.addresses)
        let answer = try #require(advertisement.answer(try DNSMessage(bytes: query.bytes), asking))
        query.receive(answer.bytes, from: try address("192.168.1.21"), port: 5353, on: link)
        #expect(query.sightings.isEmpty)
    }
}
