// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Synchronization

/// Hands out values to services, each to one only. What is taken follows from the services in the store, read once;
/// a value that is being given to a service is taken from that moment, so that two creations cannot get the same.
///
/// Several writes may work on one service at the same time, so a value is held by each attempt that took it, and by the
/// stored service. It is free again when none of them has it.
final class Allocations<Value: Hashable & Sendable>: Sendable {
    private struct Holding {
        /// The UID of the service that has the value.
        var owner: String
        /// The unfinished attempts that took it, by ``Change/attempt``.
        var attempts: Set<UInt64> = []
    }

    private struct State {
        var isLoaded = false
        var holdings: [Value: Holding] = [:]
    }

    private let state = Mutex(State())

    /// Reads what is taken, the first time.
    func load(_ read: () -> [(Value, String)]) {
        let isLoaded = state.withLock { $0.isLoaded }
        if isLoaded { return }
        let found = read()
        state.withLock { state in
            guard !state.isLoaded else { return }
            state.isLoaded = true
            for (value, owner) in found { state.holdings[value] = Holding(owner: owner) }
        }
    }

    /// Takes a value; false when another service has it.
    func take(_ value: Value, for owner: String, attempt: UInt64) -> Bool {
        state.withLock { state in
            var holding = state.holdings[value] ?? Holding(owner: owner)
            guard holding.owner == owner else { return false }
            holding.attempts.insert(attempt)
            state.holdings[value] = holding
            return true
        }
    }

    /// Ends an attempt to write a service, whether it wrote or not.
    ///
    /// - Parameter stored: Reads what the stored service has now. It is called while nobody else can settle anything, so
    ///   that what was read last is what was stored last.
    func settle(_ owner: String, attempt: UInt64, stored: () -> Set<Value>) {
        state.withLock { state in
            let kept = stored()
            for (value, holding) in state.holdings where holding.owner == owner {
                state.holdings[value]?.attempts.remove(attempt)
                let isHeld = !holding.attempts.subtracting([attempt]).isEmpty
                if !isHeld, !kept.contains(value) { state.holdings[value] = nil }
            }
            for value in kept where state.holdings[value] == nil { state.holdings[value] = Holding(owner: owner) }
        }
    }
}

/// Addresses of services (`clusterIP`).
final class AddressAllocator: Sendable {
    private let network: IPNetwork?
    private let text: String
    private let allocations = Allocations<String>()

    /// Attempts at a free address before the range is taken to be full.
    private static let attempts = 4096
    /// The last address of a range that is not the broadcast address, as a count; larger ranges are not used up.
    private static let maximumCount = 1 << 16

    init(range: String) {
        network = IPNetwork(range)?.network
        text = range
    }

    var isIPv6: Bool { network?.address.isV6 ?? false }

    func load(from registry: Registry) {
        allocations.load {
            registry.cachedObjects(.init("", "v1", "services")).flatMap { service in
                Self.addresses(of: service).map { ($0, service.uid) }
            }
        }
    }

    /// The addresses that a service has, as they are kept here.
    private static func addresses(of service: KubeObject) -> [String] {
        (service.spec["clusterIPs"]?.elements ?? []).compactMap(\.string).compactMap { IPAddress($0)?.description }
    }

    /// Takes the address that a service asks for.
    ///
    /// - Parameter records: what others have noted as taken.
    func take(
        _ address: String, for service: KubeObject, attempt: UInt64, _ records: ServiceAddressRecords
    ) throws(StatusError) {
        guard let network, let parsed = IPAddress(address), network.contains(parsed) else {
            throw Self.refusal(
                service.name, address,
                "failed to allocate IP \(address): the provided IP (\(address)) is not in the valid range. The range of "
                    + "valid IPs is \(text)")
        }
        guard !records.isReserved(parsed.description),
            allocations.take(parsed.description, for: service.uid, attempt: attempt)
        else {
            throw Self.refusal(
                service.name, address, "failed to allocate IP \(address): provided IP is already allocated")
        }
    }

    private static func refusal(_ service: String, _ address: String, _ why: String) -> StatusError {
        SchemaRules.invalid(
            GroupVersionKind("", "v1", "Service"), name: service,
            [
                .init(
                    reason: "FieldValueInvalid", message: "Invalid value: [\"\(address)\"]: \(why)",
                    field: "spec.clusterIPs")
            ])
    }

    /// Takes a free address from the upper part of the range: the lower one is for those that ask (KEP-3070).
    func takeAny(
        for service: KubeObject, attempt: UInt64, _ records: ServiceAddressRecords
    ) throws(StatusError) -> String {
        guard let network else { throw .internalError("the service range \(text) is not a CIDR range") }
        let bits = network.address.bitCount - network.prefixLength
        let count = min(Self.maximumCount, 1 << min(16, bits)) - (isIPv6 ? 1 : 2)
        let reserved = max(min(16, count / 2), min(256, count / 16))
        for round in 0..<Self.attempts {
            let isLast = round > Self.attempts / 2
            let lowest = isLast ? 1 : min(reserved + 1, count)
            guard lowest <= count,
                let address = network.address.advanced(by: Int.random(in: lowest...count))?.description
            else { continue }
            if !records.isReserved(address), allocations.take(address, for: service.uid, attempt: attempt) {
                return address
            }
        }
        throw .internalError("failed to allocate a serviceIP: range is full")
    }

    /// Ends an attempt to write a service; `stored` reads its state in the store, nil when it is not there.
    func settle(_ owner: String, attempt: UInt64, stored: () -> KubeObject?) {
        allocations.settle(owner, attempt: attempt) { Set(stored().map(Self.addresses) ?? []) }
    }
}

/// Ports of services on every node (`nodePort`).
final class PortAllocator: Sendable {
    private let range: ClosedRange<Int>
    private let allocations = Allocations<Int>()

    init(range: ClosedRange<Int>) { self.range = range }

    func load(from registry: Registry) {
        allocations.load {
            registry.cachedObjects(.init("", "v1", "services")).flatMap { service in
                Self.ports(of: service).map { ($0, service.uid) }
            }
        }
    }

    private static func ports(of service: KubeObject) -> [Int] {
        (service.spec["ports"]?.elements ?? []).compactMap { $0["nodePort"]?.int }
    }

    func take(_ port: Int, for service: KubeObject, attempt: UInt64, index: Int) throws(StatusError) {
        let problem: String
        if !range.contains(port) {
            problem =
                "provided port is not in the valid range. The range of valid ports is "
                + "\(range.lowerBound)-\(range.upperBound)"
        } else if !allocations.take(port, for: service.uid, attempt: attempt) {
            problem = "provided port is already allocated"
        } else {
            return
        }
        throw SchemaRules.invalid(
            GroupVersionKind("", "v1", "Service"), name: service.name,
            [
                .init(
                    reason: "FieldValueInvalid", message: "Invalid value: \(port): \(problem)",
                    field: "spec.ports[\(index)].nodePort")
            ])
    }

    func takeAny(for service: KubeObject, attempt: UInt64) throws(StatusError) -> Int {
        let start = Int.random(in: range)
        for offset in 0..<range.count {
            let port = range.lowerBound + (start - range.lowerBound + offset) % range.count
            if allocations.take(port, for: service.uid, attempt: attempt) { return port }
        }
        throw .internalError("failed to allocate a nodePort: range is full")
    }

    /// Ends an attempt to write a service; `stored` reads its state in the store, nil when it is not there.
    func settle(_ owner: String, attempt: UInt64, stored: () -> KubeObject?) {
        allocations.settle(owner, attempt: attempt) { Set(stored().map(Self.ports) ?? []) }
    }
}
