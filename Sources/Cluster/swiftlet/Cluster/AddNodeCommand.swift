// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import SwiftletCore

/// `swiftlet add-node`.
struct AddNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add-node", abstract: "Print a line that lets another board join this cluster.",
        discussion: """
            Run the printed command on the other board. The line holds a token, which is good for one board and one hour
            unless said otherwise, and the hash of this cluster's authority, so that the board cannot join a wrong one.

            Examples:
              swiftlet add-node
              swiftlet add-node --uses 3 --token-ttl 30m
              swiftlet add-node --format short
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text, short, json, yaml
    }

    @OptionGroup var configuration: ConfigurationOptions

    @Flag(help: "The board becomes a worker (the default; there is one control plane).")
    var worker = false

    @Option(help: "How long the token is good: 90s, 30m, 12h or 7d.")
    var tokenTtl = DurationArgument(seconds: 3600)

    @Option(help: "How many boards may join with it, 1 to \(JoinTokenRecord.maximumUses).")
    var uses = 1

    @Option(
        name: [.customLong("format"), .customShort("o"), .customLong("output")],
        help: "text; short: the line alone; json; yaml.")
    var format = Format.text

    func validate() throws {
        guard (1...JoinTokenRecord.maximumUses).contains(uses) else {
            throw ValidationError("--uses \(uses): must be 1 to \(JoinTokenRecord.maximumUses)")
        }
    }

    func run() async throws {
        let settings = try configuration.load()
        let invitation = try await Invitation.make(
            settings, uses: uses, lifetime: tokenTtl.seconds, logger: commandLogger("add-node"))
        switch format {
        case .short: print(invitation.lines.first.map(\.description) ?? "")
        case .text: show(invitation)
        case .json: print(invitation.json.text(indented: true))
        case .yaml:
            print("expires: \"\(invitation.expires)\"\nuses: \(uses)\nlines:")
            for line in invitation.lines { print("- \"\(line)\"") }
        }
    }

    private func show(_ invitation: Invitation) {
        print("On the other board, as root, run \(invitation.lines.count > 1 ? "one of these" : "this"):\n")
        for line in invitation.lines { print("  swiftlet join \(line)") }
        let boards = uses == 1 ? "one board" : "\(uses) boards"
        print("\nGood for \(boards) until \(invitation.expires). 'swiftlet token list' shows tokens.")
    }
}

/// A time span on the command line: a number with `s`, `m`, `h` or `d`.
struct DurationArgument: ExpressibleByArgument {
    private static let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": 86400]
    private static let longest = 365 * 86400

    let seconds: Int

    init(seconds: Int) { self.seconds = seconds }

    init?(argument: String) {
        guard let last = argument.last else { return nil }
        let unit = Self.units[last]
        guard let number = Int(unit == nil ? argument[...] : argument.dropLast()), number > 0,
            number <= Self.longest / (unit ?? 1)
        else { return nil }
        seconds = number * (unit ?? 1)
    }

    var defaultValueDescription: String { seconds % 3600 == 0 ? "\(seconds / 3600)h" : "\(seconds)s" }
}
