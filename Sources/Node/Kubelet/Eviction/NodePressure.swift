// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// Something that all pods of a node draw on and that may run out (upstream: eviction signals), the most urgent first.
package enum PressureSignal: CaseIterable, Sendable, Hashable {
    case memory
    /// Bytes of the file system with pods' files.
    case nodeBytes
    /// Bytes of the file system with images.
    case imageBytes
    case nodeInodes
    case imageInodes
    case processes

    /// The resource as messages name it.
    package var resource: String {
        switch self {
        case .memory: "memory"
        case .nodeBytes, .imageBytes: "ephemeral-storage"
        case .nodeInodes, .imageInodes: "inodes"
        case .processes: "pids"
        }
    }

    package var condition: PressureCondition {
        switch self {
        case .memory: .memory
        case .nodeBytes, .imageBytes, .nodeInodes, .imageInodes: .disk
        case .processes: .processes
        }
    }

    /// Below how much left there is pressure.
    ///
    /// The shares are upstream's for hard evictions, and the documented example for processes, for which it has no default. But a
    /// tenth of a large disk is no pressure, and on the smallest boards 100 MiB of memory is a usual amount to be left.
    package func threshold(capacity: UInt64) -> UInt64 {
        switch self {
        case .memory: min(100 << 20, capacity / 10)
        case .nodeBytes: min(capacity / 10, 1 << 30)
        case .imageBytes: min(capacity / 100 * 15, 1 << 30)
        case .nodeInodes, .imageInodes: capacity / 20
        case .processes: capacity / 10
        }
    }
}

/// A condition of the Node that says that something runs out.
package enum PressureCondition: String, CaseIterable, Sendable {
    case disk = "DiskPressure"
    case memory = "MemoryPressure"
    case processes = "PIDPressure"
}

/// What a look at the node found; what could not be read is not in it.
package struct NodeObservation: Sendable, Hashable {
    /// In bytes, inodes or processes.
    package struct Amount: Sendable, Hashable {
        package var available: UInt64
        package var capacity: UInt64

        package init(available: UInt64, capacity: UInt64) {
            self.available = available
            self.capacity = capacity
        }
    }

    package var amounts: [PressureSignal: Amount] = [:]

    package init() {}

    /// Takes in the room on a file system. Some have no fixed number of inodes, and report none.
    package mutating func add(_ space: FileSystemSpace, bytes: PressureSignal, inodes: PressureSignal) {
        amounts[bytes] = Amount(available: space.availableBytes, capacity: space.totalBytes)
        if space.totalInodes > 0 {
            amounts[inodes] = Amount(available: space.freeInodes, capacity: space.totalInodes)
        }
    }
}

/// Of what the node has too little left. Pure (upstream: the eviction manager's thresholds and node conditions).
package struct NodePressure: Sendable {
    /// A threshold that is met.
    package struct Shortage: Sendable, Hashable {
        package var signal: PressureSignal
        package var threshold: UInt64
        package var available: UInt64
    }

    /// Milliseconds for which a condition outlasts its cause, so that it does not come and go (upstream:
    /// evictionPressureTransitionPeriod).
    package static let transitionPeriod: Int64 = 300_000

    /// The conditions that hold.
    package private(set) var conditions: Set<PressureCondition> = []
    /// When (uptime, milliseconds) each condition last had a cause.
    private var lastMet: [PressureCondition: Int64] = [:]

    package init() {}

    /// Takes in a look at the node; gives what runs out, the most urgent first.
    ///
    /// - Parameter now: Milliseconds of uptime.
    package mutating func look(_ observation: NodeObservation, now: Int64) -> [Shortage] {
        let shortages = PressureSignal.allCases.compactMap { signal -> Shortage? in
            guard let amount = observation.amounts[signal] else { return nil }
            let threshold = signal.threshold(capacity: amount.capacity)
            guard amount.available < threshold else { return nil }
            return Shortage(signal: signal, threshold: threshold, available: amount.available)
        }
        for shortage in shortages { lastMet[shortage.signal.condition] = now }
        conditions = Set(lastMet.filter { now - $0.value < Self.transitionPeriod }.keys)
        return shortages
    }
}
