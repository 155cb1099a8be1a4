// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import KubeAPI
import SwiftletCore

/// `swiftlet token`: the tokens that `add-node` made.
struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token", abstract: "List and revoke the tokens that let boards join.",
        discussion: """
            Examples:
              swiftlet token list
              swiftlet token revoke a1b2c3
            """,
        subcommands: [TokenListCommand.self, TokenRevokeCommand.self], defaultSubcommand: TokenListCommand.self)
}

/// `swiftlet token list`.
struct TokenListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the tokens; their secrets are not kept.",
        discussion: """
            Example:
              swiftlet token list -o json
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let tokens = try await JoinTokens(configuration.load(), logger: commandLogger("token")).list()
        switch output.format {
        case .json: print(JSON.array(tokens.map(\.json)).text(indented: true))
        case .text:
            printTable(
                ["ID", "EXPIRES", "USES LEFT", "STATE"],
                tokens.map { [$0.record.id, $0.record.expiresAt.text, "\($0.record.usesLeft)", $0.state] })
        }
    }
}

/// `swiftlet token revoke`.
struct TokenRevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke", abstract: "Make tokens worthless; nodes that have joined with them stay.",
        discussion: """
            Example:
              swiftlet token revoke a1b2c3
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The tokens' identifiers: the part before the point.")
    var ids: [String]

    func run() async throws {
        let tokens = JoinTokens(try configuration.load(), logger: commandLogger("token"))
        var revoked: [String] = []
        var unknown: [String] = []
        for id in ids {
            let isKnown = try await tokens.revoke(id)
            output.say(isKnown ? "token \(id) revoked" : "there is no token \(id)")
            if isKnown { revoked.append(id) } else { unknown.append(id) }
        }
        output.show(["revoked": JSON(revoked), "unknown": JSON(unknown)])
        if !unknown.isEmpty { throw ExitCode.failure }
    }
}
