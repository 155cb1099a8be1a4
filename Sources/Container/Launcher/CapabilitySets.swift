// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The five capability sets of a process, as numbers.
struct CapabilitySets: Equatable {
    let bounding: CapabilitySet
    let effective: CapabilitySet
    let inheritable: CapabilitySet
    let permitted: CapabilitySet
    let ambient: CapabilitySet

    init(_ capabilities: RuntimeSpec.Capabilities, log: Log) throws(LauncherError) {
        bounding = Self.set(capabilities.bounding, log)
        effective = Self.set(capabilities.effective, log)
        inheritable = Self.set(capabilities.inheritable, log)
        permitted = Self.set(capabilities.permitted, log)
        ambient = Self.set(capabilities.ambient, log)
    }

    /// Names that are unknown are left out with a warning: a configuration may be written for a newer kernel
    /// (config.md: "Any value which cannot be mapped to a relevant kernel interface ... MUST be logged as a warning").
    private static func set(_ names: [String], _ log: Log) -> CapabilitySet {
        var result: CapabilitySet = []
        for name in names {
            if let capability = CapabilitySet(name: name) {
                result.formUnion(capability)
            } else {
                log.warn("unknown capability \"\(name)\" is ignored")
            }
        }
        return result
    }

    /// Takes out of the bounding set what is not to be in it.
    func limitBoundingSet() throws(SystemError) {
        for number in 0..<64 where !bounding.numbers.contains(number) {
            if Credentials.isInBoundingSet(number) { try Credentials.dropFromBoundingSet(number) }
        }
    }

    /// Sets the others. Capabilities that the launcher does not have itself are left out with a warning.
    func apply(log: Log) throws(SystemError) {
        let own = try Credentials.capabilities().permitted
        let missing = permitted.subtracting(own)
        if !missing.isEmpty {
            let names = missing.numbers.map { $0 < CapabilitySet.names.count ? CapabilitySet.names[$0] : "\($0)" }
            log.warn("capabilities that the launcher does not have are ignored: \(names.joined(separator: " "))")
        }
        let held = permitted.intersection(own)
        try Credentials.setCapabilities(
            effective: effective.intersection(held), permitted: held,
            inheritable: inheritable.intersection(own.union(held)))
        try Credentials.clearAmbientSet()
        for number in ambient.intersection(held).intersection(inheritable).numbers {
            try Credentials.addToAmbientSet(number)
        }
    }
}
