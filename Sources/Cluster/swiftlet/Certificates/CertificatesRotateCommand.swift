// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import SwiftletCore

/// `swiftlet certificates rotate-ca`.
struct CertificatesRotateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rotate-ca", abstract: "Replace the cluster's certification authority, in two runs.",
        discussion: """
            Run it on the control plane, as root, while the agent runs. The first run makes a new authority, has every node
            trust both, lets the new one sign and waits until every node has certificates by it. The old authority stays
            trusted, so kubeconfigs and join lines of before still work. When you have given out new ones
            ('swiftlet config') and have restarted the pods that talk to the API, end it with --finish: what only knows the
            old authority stops working then. Whenever a run was broken off, the same command goes on.

            Examples:
              swiftlet certificates rotate-ca
              swiftlet certificates rotate-ca --finish
              swiftlet certificates rotate-ca --abort   # only before the new authority signs
            """)

    @OptionGroup var configuration: ConfigurationOptions

    @Flag(help: "Trust the old authority no more.")
    var finish = false

    @Flag(help: "Go back to the old authority, while the new one does not sign yet.")
    var abort = false

    @Flag(help: "With --finish: also when nodes have no new certificates; they must leave and join again.")
    var force = false

    @Option(help: "How long nodes have for each step.")
    var timeout = DurationArgument(seconds: 120)

    func validate() throws {
        if finish, abort { throw ValidationError("--finish and --abort are opposites: give one of them") }
        if force, !finish { throw ValidationError("--force: only with --finish") }
    }

    func run() async throws {
        let rotation = AuthorityRotation(try configuration.load(), logger: commandLogger("certificates"))
        let goal: RotationMachine.Goal = finish ? .finish : abort ? .abort : .replace
        let left = try await rotation.run(goal, force: force, within: .seconds(timeout.seconds)) { progress in
            switch progress {
            case .prepared(let fingerprint): print("A new authority is made (\(fingerprint)); both are trusted now.")
            case .activated(let fingerprint): print("The new authority signs (\(fingerprint)).")
            case .dropped: print("The old authority is trusted no more.")
            case .discarded: print("The new authority is given up.")
            case .waiting(.agent): break
            case .waiting(.trust(let nodes)):
                print("Waiting until these nodes trust it: \(nodes.joined(separator: ", ")) ...")
            case .waiting(.certificates(let nodes)):
                print("Waiting until these nodes have new certificates: \(nodes.joined(separator: ", ")) ...")
            }
        }
        if !left.isEmpty {
            print(
                "Not ready, and still with old certificates: \(left.joined(separator: ", "))."
                    + " They get new ones when they are back.")
        }
        switch goal {
        case .replace:
            print(
                """
                Every node that is ready uses the new authority. New join lines name it; the old one is still trusted.
                Give out new kubeconfigs ('swiftlet config'), restart pods that talk to the API, and then run:
                  swiftlet certificates rotate-ca --finish
                """)
        case .finish, .abort: print("There is one authority.")
        }
    }
}
