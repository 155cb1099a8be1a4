// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ClusterFormation
import JSON
import LinuxSystem
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
              swiftlet certificates rotate-ca --finish -o json
              swiftlet certificates rotate-ca --abort   # only before the new authority signs
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: TableOutputOptions

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
        let settings = try configuration.load()
        let rotation = AuthorityRotation(settings, logger: commandLogger("certificates"))
        let goal: RotationMachine.Goal = finish ? .finish : abort ? .abort : .replace
        // Where the result is for a program, progress is no part of it.
        let isForProgram = output.format != .table
        let left = try await rotation.run(goal, force: force, within: .seconds(timeout.seconds)) { progress in
            guard let text = Self.text(progress) else { return }
            if isForProgram { StandardError.write(Array("\(text)\n".utf8)) } else { print(text) }
        }
        switch output.format {
        case .table: printResult(goal, left)
        case .json: print(try result(settings, left).text(indented: true))
        case .yaml: print(try YAMLText.text(try result(settings, left)), terminator: "")
        }
    }

    private static func text(_ progress: AuthorityRotation.Progress) -> String? {
        switch progress {
        case .prepared(let fingerprint): "A new authority is made (\(fingerprint)); both are trusted now."
        case .activated(let fingerprint): "The new authority signs (\(fingerprint))."
        case .dropped: "The old authority is trusted no more."
        case .discarded: "The new authority is given up."
        case .waiting(.agent): nil
        case .waiting(.trust(let nodes)): "Waiting until these nodes trust it: \(nodes.joined(separator: ", ")) ..."
        case .waiting(.certificates(let nodes)):
            "Waiting until these nodes have new certificates: \(nodes.joined(separator: ", ")) ..."
        }
    }

    private func printResult(_ goal: RotationMachine.Goal, _ left: [String]) {
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

    /// The phase that the rotation is in now, the authority that signs, and the nodes that still have old certificates.
    private func result(_ settings: Configuration, _ left: [String]) throws -> JSON {
        let inventory = try CertificateInventory.read(settings)
        let signing = inventory.json["certificates"]?.elements.first { $0["name"]?.string == "ca" }
        return [
            "authorityRotation": inventory.json["authorityRotation"] ?? .null, "sha256": signing?["sha256"] ?? .null,
            "notReady": JSON(left),
        ]
    }
}
