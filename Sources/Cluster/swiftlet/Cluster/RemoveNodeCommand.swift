// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import SwiftletCore

/// `swiftlet remove-node`.
struct RemoveNodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove-node", abstract: "Drain a node and take it out of this cluster.",
        discussion: """
            Run it on the control plane. The node is cordoned, its pods are evicted as their PodDisruptionBudgets allow,
            and it is deleted. With --force also one that does not answer any more, or whose pods do not go.

            Examples:
              swiftlet remove-node kitchen
              swiftlet remove-node kitchen --force --timeout 10s
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The node's name.")
    var name: String

    @Flag(help: "Remove it with whatever is left on it when time is up.")
    var force = false

    @Option(help: "How long pods have to go.")
    var timeout = DurationArgument(seconds: 120)

    func run() async throws {
        let removal = NodeRemovalOperation(try configuration.load(), logger: commandLogger("remove-node"))
        var left = -1
        try await removal.run(name, force: force, timeout: .seconds(timeout.seconds)) { progress in
            switch progress {
            case .cordoned: output.say("Node \(name) is cordoned.")
            case .draining(let count) where count != left:
                left = count
                output.say("\(count) pods are to go ...")
            case .draining: break
            case .held(let pod): output.say("  \(pod) is held by a disruption budget")
            case .deleted: output.say("Node \(name) is removed.")
            }
        }
        output.show(["node": .string(name), "removed": true])
    }
}
