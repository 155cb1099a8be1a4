// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
package import Logging
import Netlink
import Synchronization

/// The pod network of one node: a bridge, and sandboxes attached to it.
///
/// A sandbox is a set of pinned network, IPC and UTS namespaces without a process, with one link to the bridge. Its address
/// has a prefix of full length and all its traffic goes by the gateway, also to sandboxes of the same node: so address
/// translation and policies see every packet and its answer, whether the kernel filters bridged frames or not. With an IPv6
/// subnet the same holds for a second address.
///
/// Every change is recorded in the run directory before it is made. Operations are safe to repeat, and to take up again
/// after a crash. They block for milliseconds; different sandboxes can be worked on at the same time.
package final class SandboxNetwork: Sendable {
    struct State: ~Copyable {
        var pool: AddressPool
        var records: [String: SandboxRecord]
        /// Folders without a readable record.
        var damaged: Set<String>
        /// Sandboxes that are being changed right now.
        var busy: Set<String> = []
        var mtu: UInt32 = 1500
        var bridge: Int32?
    }

    /// The link's name inside a sandbox.
    static let interface = "eth0"

    package let configuration: SandboxNetworkConfiguration
    let gateway: IPAddress
    let gatewayV6: IPAddress?
    let session: RouteSession
    let store: RecordStore
    let logger: Logger
    let state: Mutex<State>
    /// Held while the table is computed and applied, so that an older one never follows a newer one: what it was found to hold
    /// then, see ``Nftables/listing(table:)``.
    let tableLock = Mutex<Set<String>>([])
    /// Held while the last address is kept, for the same reason; a file is replaced by one at a time.
    private let lastAddressLock = Mutex(())
    /// The peers that ``setPeers(_:)`` was told of last; held while their paths are changed.
    let knownPeers = Mutex<[NetworkPeer]>([])

    /// Opens the run directory and reads its records; nothing else is changed until ``prepareNode()``.
    ///
    /// The network belongs to the network namespace of the calling thread; all other calls must come from the same one.
    package init(_ configuration: SandboxNetworkConfiguration, logger: Logger) throws {
        let subnet = configuration.subnet
        try Self.validateV6(configuration)
        guard let gateway = configuration.gateway, subnet.address.isV4, subnet.prefixLength <= 29,
            configuration.linkPrefix.utf8.count <= RouteSession.nameLimit - 8,
            (1...RouteSession.nameLimit).contains(configuration.bridgeName.utf8.count),
            (1...RouteSession.nameLimit).contains(configuration.vxlanName.utf8.count)
        else {
            throw SandboxNetworkError(
                .invalid, "set up the pod network", "\(subnet)",
                "the subnet must be IPv4 of at least 8 addresses, link prefixes have at most 7 bytes, link names 15")
        }
        self.configuration = configuration
        self.gateway = gateway
        gatewayV6 = configuration.gatewayV6
        self.logger = logger
        session = try RouteSession()
        store = try RecordStore(path: configuration.runDirectory)
        var records: [String: SandboxRecord] = [:]
        var damaged: Set<String> = []
        for (sandboxID, record) in try store.load() {
            if let record { records[sandboxID] = record } else { damaged.insert(sandboxID) }
        }
        let pool = AddressPool(
            subnet: subnet, companions: configuration.subnetV6, last: try store.lastAddress(),
            used: Set(records.values.flatMap(\.addresses)))
        state = Mutex(State(pool: pool, records: records, damaged: damaged))
    }

    /// Creates a sandbox, or returns it if it exists.
    ///
    /// - Parameters:
    ///   - sandboxID: letters, digits, `-`, `_` and `.`; at most 128 bytes.
    ///   - hostname: the UTS host name, at most 64 bytes.
    ///   - parameters: kernel parameters to set inside; only those that belong to a network or IPC namespace.
    ///   - portMappings: ports of the machine that lead to the sandbox.
    /// - Throws: `SandboxNetworkError`, or the error of the system call or netlink request that failed; then nothing is left.
    package func create(
        sandboxID: String, hostname: String, parameters: [String: String] = [:], portMappings: [PortMapping] = []
    ) throws -> SandboxAttachment {
        try Self.validate(sandboxID: sandboxID, hostname: hostname, parameters: parameters)
        try acquire(sandboxID)
        defer { release(sandboxID) }
        if let record = state.withLock({ $0.records[sandboxID] }) {
            if let attachment = attachment(of: record), record.portMappings == portMappings { return attachment }
            try takeApart(sandboxID)
        }
        var record = try allocate(sandboxID, portMappings, parameters)
        do {
            try store.write(record)
            try keepLastAddress()
            try setUp(record, hostname: hostname, parameters: parameters)
            if !portMappings.isEmpty { try applyTable() }
            record.isComplete = true
            try store.write(record)
        } catch {
            do {
                try takeApart(sandboxID)
            } catch let second {
                // The record stays, and the next attempt or start cleans up.
                logger.warning(
                    "Could not clean up after a failed sandbox",
                    metadata: ["sandbox": "\(sandboxID)", "error": "\(second)"])
            }
            throw error
        }
        state.withLock { $0.records[sandboxID] = record }
        return attachmentUnchecked(of: record)
    }

    /// Removes a sandbox with all that belongs to it and gives its address back; no error where there is none.
    package func remove(sandboxID: String) throws {
        try acquire(sandboxID)
        defer { release(sandboxID) }
        try takeApart(sandboxID)
    }

    /// The sandboxes that are complete.
    package func list() -> [SandboxAttachment] {
        let records = state.withLock { Array($0.records.values) }
        return records.compactMap { attachment(of: $0) }.sorted { $0.sandboxID < $1.sandboxID }
    }

    /// The attachment of a sandbox that an earlier run of the program made; nil if it does not exist (any more) as a whole.
    package func adopt(sandboxID: String) -> SandboxAttachment? {
        state.withLock { $0.records[sandboxID] }.flatMap { attachment(of: $0) }
    }

    // MARK: - State

    /// Reserves a sandbox for the caller's change.
    private func acquire(_ sandboxID: String) throws {
        guard reserve(sandboxID) else {
            throw SandboxNetworkError(.conflict, "change the sandbox", sandboxID, "another change is under way")
        }
    }

    /// Reserves a sandbox unless somebody else is changing it; whether it did.
    func reserve(_ sandboxID: String) -> Bool { state.withLock { $0.busy.insert(sandboxID).inserted } }

    func release(_ sandboxID: String) {
        state.withLock { _ = $0.busy.remove(sandboxID) }
    }

    private func keepLastAddress() throws {
        try lastAddressLock.withLock { _ in
            if let last = state.withLock({ $0.pool.last }) { try store.setLastAddress(last) }
        }
    }

    /// Takes an address and registers the sandbox, so that no other gets its address or ports.
    private func allocate(
        _ sandboxID: String, _ portMappings: [PortMapping], _ parameters: [String: String]
    ) throws -> SandboxRecord {
        try state.withLock { state in
            for (other, taken) in state.records.lazy.flatMap({ record in
                record.value.portMappings.map { (record.key, $0) }
            }) {
                for mapping in portMappings where mapping.conflicts(with: taken) {
                    throw SandboxNetworkError(
                        .conflict, "map the port", "\(mapping.hostPort)/\(mapping.transport.rawValue)",
                        "sandbox \(other) has it")
                }
            }
            guard let (address, addressV6) = state.pool.take() else {
                throw SandboxNetworkError(
                    .exhausted, "find an address for the sandbox", sandboxID,
                    "all of \(configuration.subnet) are in use; remove pods or give the node a larger subnet")
            }
            let record = SandboxRecord(
                sandboxID: sandboxID, address: address, addressV6: addressV6, linkName: linkName(of: address),
                portMappings: portMappings,
                linkParameters: parameters.filter { SandboxParameters.isOfLink($0.key) })
            state.records[sandboxID] = record
            return record
        }
    }

    /// `swl0a010005`: unique on the node, because the address is.
    private func linkName(of address: IPAddress) -> String {
        configuration.linkPrefix
            + address.bytes.suffix(4).map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }

    private func attachment(of record: SandboxRecord) -> SandboxAttachment? {
        let attachment = attachmentUnchecked(of: record)
        return record.isComplete && attachment.namespaces.exist ? attachment : nil
    }

    private func attachmentUnchecked(of record: SandboxRecord) -> SandboxAttachment {
        SandboxAttachment(
            sandboxID: record.sandboxID, addresses: record.addresses, gateway: gateway, interface: Self.interface,
            namespaces: PinnedNamespaces(directory: store.path(of: record.sandboxID)))
    }

    private static func validateV6(_ configuration: SandboxNetworkConfiguration) throws {
        guard let subnet = configuration.subnetV6 else { return }
        // Every IPv4 address has its companion.
        let bits = min(32 - configuration.subnet.prefixLength, AddressPool.usedBits)
        guard subnet.address.isV6, configuration.clusterNetworkV6?.contains(subnet.address) == true,
            128 - subnet.prefixLength >= bits
        else {
            throw SandboxNetworkError(
                .invalid, "set up the pod network", "\(subnet)",
                "the second subnet must be IPv6, a part of the cluster's network and at least as large as"
                    + " \(configuration.subnet)")
        }
    }

    private static func validate(sandboxID: String, hostname: String, parameters: [String: String]) throws {
        let operation = "create the sandbox"
        let isPlain = sandboxID.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                || [0x2D, 0x2E, 0x5F].contains(byte)
        }
        guard isPlain, (1...128).contains(sandboxID.utf8.count), !sandboxID.hasPrefix(".") else {
            throw SandboxNetworkError(.invalid, operation, sandboxID, "the name is not a plain file name")
        }
        guard hostname.utf8.count <= 64, !hostname.utf8.contains(0) else {
            throw SandboxNetworkError(.invalid, operation, sandboxID, "the host name is longer than 64 bytes")
        }
        for name in parameters.keys where !SandboxParameters.isNamespaced(name) {
            throw SandboxNetworkError(
                .invalid, operation, sandboxID,
                "the kernel parameter \(name) would change the whole machine, not only the sandbox")
        }
    }
}
