// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import LinuxSystem
import PKI
import SwiftletCore

/// `swiftlet certificates status`.
struct CertificatesStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "List this node's certificates; exit status 1 if one is of no use.",
        discussion: """
            Needs root. On the control plane: the cluster's authority, what the API server and the kubelet show, and the
            administrator's certificate. On a worker: the authorities that it trusts and its own two certificates.
            "due" means that the agent renews it now; only what is expired, missing or not by the authority is an error.
            While the clock is not set (a board without a real-time clock before NTP) nothing is said about ages.

            Examples:
              swiftlet certificates status
              swiftlet certificates status -o json | jq '.certificates[] | select(.remainingSeconds < 2592000)'
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: TableOutputOptions

    func run() throws {
        let inventory = try CertificateInventory.read(configuration.load())
        switch output.format {
        case .table: show(inventory)
        case .json: print(inventory.json.text(indented: true))
        case .yaml: print(try inventory.yaml(), terminator: "")
        }
        if !inventory.isHealthy { throw ExitCode.failure }
    }

    private func show(_ inventory: CertificateInventory) {
        let isClockSet = Validity.isClockSet(inventory.now)
        printTable(
            ["NAME", "KIND", "STATE", "EXPIRES", "REMAINING", "IN USE", "RENEWED BY", "SUBJECT", "NAMES"],
            inventory.entries.map { entry in
                let end = entry.certificate?.validity.notAfter
                return [
                    entry.name, entry.kind.rawValue, entry.state.rawValue,
                    end.map { FileTime(seconds: $0).rfc3339 } ?? "-",
                    isClockSet ? end.map { spanText($0 - inventory.now) } ?? "-" : "?",
                    entry.isInUse.map { $0 ? "yes" : "no" } ?? "-", renewal(entry, inventory.now, isClockSet),
                    entry.certificate?.subject.description ?? "-",
                    entry.names.isEmpty ? "-" : entry.names.joined(separator: ","),
                ]
            })
        for entry in inventory.entries where entry.state.isBad {
            let reason = entry.reason.isEmpty ? "" : " (\(entry.reason))"
            print("\n\(entry.name): \(entry.state.rawValue)\(reason), \(entry.file)")
        }
        if !inventory.isHealthy {
            print("\nremedy: swiftlet certificates renew; see 'swiftlet logs' for why the agent has not done it")
        }
        switch inventory.phase {
        case .spreading:
            print(
                "\nThe authority is being replaced: both are trusted, the old one signs."
                    + " Go on with 'swiftlet certificates rotate-ca', or back with --abort.")
        case .replaced:
            print(
                "\nThe authority is being replaced: the new one signs, the old one is still trusted."
                    + " End it with 'swiftlet certificates rotate-ca --finish'.")
        case .settled, nil: break
        }
        if !isClockSet { print("\nThe clock is not set yet: nothing is renewed or judged by its age until it is.") }
    }

    private func renewal(_ entry: CertificateInventory.Entry, _ now: Int64, _ isClockSet: Bool) -> String {
        guard let renewal = entry.renewal, isClockSet else { return entry.renewedBy }
        return renewal > now ? "\(entry.renewedBy), in \(spanText(renewal - now))" : "\(entry.renewedBy), now"
    }
}
