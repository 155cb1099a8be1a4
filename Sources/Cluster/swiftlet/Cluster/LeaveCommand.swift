// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import SwiftletCore

/// `swiftlet leave`.
struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave", abstract: "Take this board out of the cluster that it has joined.",
        discussion: """
            Its pods are evicted as their disruption budgets allow, the Node is deleted, and the board is a cluster of
            its own again.

            Examples:
              swiftlet leave
              swiftlet leave --force
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Leave also when pods do not go in time or the control plane does not answer.")
    var force = false

    @Option(help: "How long pods have to go.")
    var timeout = DurationArgument(seconds: 60)

    func run() async throws {
        let leave = BoardLeave(try configuration.load(), logger: commandLogger("leave"))
        if let node = try await leave.run(force: force, timeout: timeout.seconds) {
            if output.format == .text { print("Node \(node) has left the cluster.") }
            output.show(["left": true, "node": .string(node)])
        } else {
            if output.format == .text { print("This board has joined no cluster.") }
            output.show(["left": false])
        }
    }
}
