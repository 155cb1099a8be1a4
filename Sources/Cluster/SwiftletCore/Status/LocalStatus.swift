// SPDX-License-Identifier: Apache-2.0

package import JSON
import LinuxSystem
import PKI

/// What this machine's files and processes tell about the node, also when the API does not answer.
package struct LocalStatus: Sendable {
    /// How a certificate stands and how long it is still valid.
    package struct CertificateLife: Sendable, Hashable {
        package var name: String
        package var state: CertificateInventory.State
        /// Why it is bad; otherwise empty.
        package var reason = ""
        /// Seconds since 1970; nil where it cannot be read.
        package var notAfter: Int64?
        /// Whole days from now; negative when it has expired; nil where it cannot be read.
        package var remainingDays: Int?
        /// Whether half the time in which it should have been renewed has passed.
        package var isLate = false
    }

    /// Bytes of the store's files; nil where there is no store on this node.
    package var storeBytes: UInt64?
    /// The one that expires first comes first.
    package var certificates: [CertificateLife]
    /// What each component uses.
    package var components: [(component: String, use: ProcessUse)]

    /// Reads the node's directories. What may not be read is left out.
    package static func read(_ configuration: Configuration, now: Int64 = FileTime.now().seconds) -> LocalStatus {
        LocalStatus(
            storeBytes: storeBytes(configuration), certificates: certificates(configuration, now: now),
            components: AgentProcess.use(configuration))
    }

    private static func storeBytes(_ configuration: Configuration) -> UInt64? {
        let directory = "\(configuration.directories.state)/store"
        // A worker has none; others may not look into it.
        guard let names = try? Files.names(in: directory) else { return nil }
        return names.reduce(0) { sum, name in sum + ((try? Files.status("\(directory)/\(name)"))?.size ?? 0) }
    }

    private static func certificates(_ configuration: Configuration, now: Int64) -> [CertificateLife] {
        // Where there are none, or the reader may not look, there is nothing to tell.
        let entries = (try? CertificateInventory.read(configuration, now: now))?.entries ?? []
        let lives = entries.map { CertificateLife($0, now: now) }
        // One without an end is in the way of everything: it comes first.
        return lives.sorted { ($0.notAfter ?? .min, $0.name) < ($1.notAfter ?? .min, $1.name) }
    }

    package var json: JSON {
        var result: JSON = [
            "certificates": .array(
                certificates.map(\.json)),
            "components": .array(
                components.map { component, use in
                    [
                        "name": .string(component), "processes": JSON(use.processes),
                        "memoryBytes": JSON(Int(clamping: use.proportionalBytes)),
                        "cpuMilliseconds": JSON(Int(clamping: use.processorMilliseconds)),
                        "writtenBytes": JSON(Int(clamping: use.writtenBytes)),
                    ]
                }),
        ]
        if let storeBytes { result["datastore"] = ["engine": "sqlite", "bytes": JSON(Int(clamping: storeBytes))] }
        return result
    }
}

extension LocalStatus.CertificateLife {
    /// - Parameter now: seconds since 1970.
    package init(_ entry: CertificateInventory.Entry, now: Int64) {
        self.init(name: entry.name, state: entry.state, reason: entry.reason)
        guard let end = entry.certificate?.validity.notAfter else { return }
        notAfter = end
        remainingDays = Int((end - now) / 86400)
        isLate = state == .due && entry.renewal.map { now - $0 > end - now } ?? false
    }

    fileprivate var json: JSON {
        var result: JSON = ["name": .string(name), "state": .string(state.rawValue)]
        if !reason.isEmpty { result["reason"] = .string(reason) }
        if let remainingDays { result["remainingDays"] = JSON(remainingDays) }
        if let notAfter { result["notAfter"] = .string(FileTime(seconds: notAfter).rfc3339) }
        return result
    }
}
