// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import SwiftletCore

/// `swiftlet join`.
struct JoinCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "join", abstract: "Make this board a node of the cluster whose join line is given.",
        discussion: """
            The cluster's authority is checked against the hash in the line before the token is sent. What ran in this
            board's own cluster is set aside, and is there again after `swiftlet leave`. The command can be run again.

            Examples:
              swiftlet join 192.168.1.20:16443/abcdef.0123456789abcdef/6f1c...e2
              swiftlet join --node-name kitchen 192.168.1.20:16443/abcdef.0123456789abcdef/6f1c...e2
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The line that 'swiftlet add-node' printed: <address>:<port>/<token>/<ca-sha256>.")
    var line: String

    @Option(help: "The node's name (default: the configuration's, or the host name).")
    var nodeName: String?

    @Flag(help: "Join although pods run in this board's own cluster.")
    var force = false

    @Flag(help: "Take a line without a hash and trust whatever answers.")
    var insecureSkipCaVerification = false

    @Option(help: "How long the node has to become ready.")
    var timeout = DurationArgument(seconds: 60)

    func run() async throws {
        var options = BoardJoin.Options()
        options.nodeName = nodeName
        options.force = force
        options.skipsVerification = insecureSkipCaVerification
        options.timeout = .seconds(timeout.seconds)
        let join = BoardJoin(try configuration.load(), logger: commandLogger("join"))
        var result: JSON = ["joined": true, "wasJoined": false, "ready": false]
        try await join.run(try JoinLine(line), options) { progress in
            switch progress {
            case .contacting(let endpoint): output.say("Contacting the cluster at \(endpoint) ...")
            case .alreadyJoined:
                result["wasJoined"] = true
                output.say("This board is a node of that cluster already.")
            case .joined(let node, let warnings):
                result["node"] = .string(node)
                result["warnings"] = JSON(warnings)
                output.say("Joined as node \(node).")
                for warning in warnings { output.say("warning: \(warning)") }
            case .restarting: output.say("The agent starts as a worker ...")
            case .agentIsStopped:
                output.say("The agent does not run; start it with 'systemctl start swiftlet'.")
            case .ready:
                result["ready"] = true
                output.say("The node is ready.")
            }
        }
        output.show(result)
    }
}
