// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `swiftlet certificates`.
struct CertificatesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certificates", abstract: "Show, renew and replace the certificates of this node and its cluster.",
        discussion: """
            The agent renews certificates by itself long before they expire; nobody has to do it by hand.

            Examples:
              swiftlet certificates status
              swiftlet certificates renew
              swiftlet certificates rotate-ca
            """,
        subcommands: [
            CertificatesStatusCommand.self, CertificatesRenewCommand.self, CertificatesRotateCommand.self,
        ], defaultSubcommand: CertificatesStatusCommand.self)
}

/// How a command prints that knows tables, JSON and YAML.
struct TableOutputOptions: ParsableArguments {
    enum Format: String, ExpressibleByArgument, CaseIterable {
        case table
        case json
        case yaml
    }

    @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: table, json or yaml.")
    var format = Format.table
}

/// A time span as people take it in: `364d`, `5h`, `12m`; with `ago` when it is over.
func spanText(_ seconds: Int64) -> String {
    let amount = abs(seconds)
    let text =
        switch amount {
        case 172_800...: "\(amount / 86400)d"
        case 7200...: "\(amount / 3600)h"
        case 120...: "\(amount / 60)m"
        default: "\(amount)s"
        }
    return seconds < 0 ? "\(text) ago" : text
}
