// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Synchronization

/// Hands out values to services, each to one only. What is taken follows from the services in the store, read once;
/// a value that is being given to a service is taken from that moment, so that two creations cannot get the same.
final class Allocations<Value: Hashable & Sendable>: Sendable {
    private struct State {
        var isLoaded = false
        /// The UID of the service that has a value.
        var owners: [Value: String] = [:]
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
            for (value, owner) in found { state.owners[value] = owner }
        }
    }

    /// Takes a value; false when another service has it.
    func take(_ value: Value, for owner: String) -> Bool {
        state.withLock { state in
            if let current = state.owners[value] { return current == owner }
            state.owners[value] = owner
            return true
        }
    }

    /// Gives back all values of a service but those that it keeps.
    func settle(_ owner: String, keeping kept: Set<Value>) {
        state.withLock { state in
            state.owners = state.owners.filter { $0.value != owner || kept.contains($0.key) }
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
                (service.spec["clusterIPs"]?.elements ?? []).compactMap(\.string).filter { $0 != "None" }
                    .map { ($0, service.uid) }
            }
        }
    }

    /// Takes the address that a service asks for.
    ///
    /// - Parameter records: what others have noted as taken.
    func take(
        _ address: String, for owner: String, service: String, _ records: ServiceAddressRecords
    ) throws(StatusError) {
        guard let network, let parsed = IPAddress(address), network.contains(parsed) else {
            throw Self.refusal(
                service, address,
                "failed to allocate IP \(address): the provided IP (\(address)) is not in the valid range. The range of "
                    + "valid IPs is \(text)")
        }
        guard !records.isReserved(parsed.description), allocations.take(parsed.description, for: owner) else {
            throw Self.refusal(service, address, "failed to allocate IP \(address): provided IP is already allocated")
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
        for owner: String, service: String, _ records: ServiceAddressRecords
    ) throws(StatusError) -> String {
        guard let network else { throw .internalError("the service range \(text) is not a CIDR range") }
        let bits = network.address.bitCount - network.prefixLength
        let count = min(Self.maximumCount, 1 << min(16, bits)) - (isIPv6 ? 1 : 2)
        let reserved = max(min(16, count / 2), min(256, count / 16))
        for attempt in 0..<Self.attempts {
            let isLast = attempt > Self.attempts / 2
            let lowest = isLast ? 1 : min(reserved + 1, count)
            guard lowest <= count,
                let address = network.address.advanced(by: Int.random(in: lowest...count))?.description
            else { continue }
            if !records.isReserved(address), allocations.take(address, for: owner) { return address }
        }
        throw .internalError("failed to allocate a serviceIP: range is full")
    }

    func settle(_ owner: String, keeping address: String?) {
        allocations.settle(owner, keeping: address.map { [$0] } ?? [])
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
                (service.spec["ports"]?.elements ?? []).compactMap { $0["nodePort"]?.int }.map { ($0, service.uid) }
            }
        }
    }

    func take(_ port: Int, for owner: String, service: String, index: Int) throws(StatusError) {
        let problem: String
        if !range.contains(port) {
            problem =
                "provided port is not in the valid range. The range of valid ports is "
                + "\(range.lowerBound)-\(range.upperBound)"
        } else if !allocations.take(port, for: owner) {
            problem = "provided port is already allocated"
        } else {
            return
        }
        throw SchemaRules.invalid(
            GroupVersionKind("", "v1", "Service"), name: service,
            [
                .init(
                    reason: "FieldValueInvalid", message: "Invalid value: \(port): \(problem)",
                    field: "spec.ports[\(index)].nodePort")
            ])
    }

    func takeAny(for owner: String, service: String) throws(StatusError) -> Int {
        let start = Int.random(in: range)
        for offset in 0..<range.count {
            let port = range.lowerBound + (start - range.lowerBound + offset) % range.count
            if allocations.take(port, for: owner) { return port }
        }
        throw .internalError("failed to allocate a nodePort: range is full")
    }

    func settle(_ owner: String, keeping ports: Set<Int>) { allocations.settle(owner, keeping: ports) }
}
