// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
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

    @Option(help: "How long pods have to go, at most an hour.")
    var timeout = DurationArgument(seconds: 60)

    func validate() throws {
        if timeout.seconds > JoinPath.longestLeave { throw ValidationError("--timeout may be an hour at most") }
    }

    func run() async throws {
        let leave = BoardLeave(try configuration.load(), logger: commandLogger("leave"))
        switch try await leave.run(force: force, timeout: timeout.seconds) {
        case .left(let node):
            output.say("Node \(node) has left the cluster.")
            output.show(["left": true, "node": .string(node), "nodeDeleted": true])
        case .leftBehind(let node, let reason):
            output.say("This board is a cluster of its own again, but its Node may still be there: \(reason)")
            output.say("Run 'swiftlet remove-node \(node) --force' on the control plane.")
            output.show(["left": true, "node": .string(node), "nodeDeleted": false, "reason": .string(reason)])
        case .completed:
            output.say("This board had left the cluster; the agent has begun anew as a cluster of its own.")
            output.show(["left": true])
        case .notJoined:
            output.say("This board has joined no cluster.")
            output.show(["left": false])
        }
    }
}
