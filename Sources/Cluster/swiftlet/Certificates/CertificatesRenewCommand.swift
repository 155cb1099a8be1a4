// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import LinuxSystem
import PKI
import SwiftletCore

/// `swiftlet certificates renew`.
struct CertificatesRenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew", abstract: "Issue this node's certificates anew, and have the running agent use them.",
        discussion: """
            Needs root. Nothing is restarted: new connections use the new certificates. On a worker the control plane issues
            them. Without names all are renewed but the authority, which 'swiftlet certificates rotate-ca' replaces.

            Examples:
              swiftlet certificates renew
              swiftlet certificates renew apiserver admin
              swiftlet certificates renew -o json
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: TableOutputOptions

    @Argument(help: "Names, as 'swiftlet certificates status' shows them.")
    var names: [String] = []

    @Option(help: "How long the control plane and the agent have.")
    var timeout = DurationArgument(seconds: 30)

    func run() async throws {
        let settings = try configuration.load()
        let operation = CertificateRenewalOperation(settings, logger: commandLogger("certificates"))
        let outcome = try await operation.run(names, within: .seconds(timeout.seconds))
        let inventory = try CertificateInventory.read(settings)
        let renewed = inventory.entries.filter { outcome.names.contains($0.name) }
        switch output.format {
        case .table:
            printTable(
                ["RENEWED", "KIND", "EXPIRES", "REMAINING"],
                renewed.map { entry in
                    let end = entry.certificate?.validity.notAfter ?? 0
                    return [
                        entry.name, entry.kind.rawValue, FileTime(seconds: end).rfc3339,
                        spanText(end - inventory.now),
                    ]
                })
            print(outcome.isInUse ? "\nThe agent uses them." : "\nThe agent does not run; its next start uses them.")
        case .json: print(json(outcome, inventory).text(indented: true))
        case .yaml: print(try YAMLText.text(json(outcome, inventory)), terminator: "")
        }
    }

    private func json(_ outcome: CertificateRenewalOperation.Outcome, _ inventory: CertificateInventory) -> JSON {
        let all = inventory.json["certificates"]?.elements ?? []
        return [
            "renewed": .array(all.filter { outcome.names.contains($0["name"]?.string ?? "") }),
            "inUse": .bool(outcome.isInUse),
        ]
    }
}
