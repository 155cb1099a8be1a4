// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import HostChecks
import JSON
import SwiftletCore

/// `swiftlet inspect`.
struct InspectCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Find out what is wrong and write a support bundle without secrets.",
        discussion: """
            Examines agent, machine, certificates and, where the API answers, nodes and pods. The bundle is an archive
            that only its owner may read: logs of agent and kernel, configuration, status, checks, versions, mounts,
            cgroups, network, storage, and an overview of the cluster's objects. Keys, tokens, Secrets, environments and
            what looks like a password are removed; look through it before you give it away nevertheless.
            The agent need not run.

            Examples:
              sudo swiftlet inspect
              sudo swiftlet inspect /tmp/board1.tar.gz --log-lines 20000
              sudo swiftlet inspect -o json
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "How many lines of the agent's log at most.")
    var logLines = 5000

    @Argument(help: "The file to write; by default one in this directory, named after node and time.")
    var file: String?

    func validate() throws {
        if !(1...1_000_000).contains(logLines) {
            throw ValidationError("--log-lines must be from 1 to 1000000, not \(logLines)")
        }
    }

    func run() async throws {
        var settings = Configuration()
        var findings: [InspectionFinding] = []
        do {
            settings = try configuration.load()
        } catch let error as ConfigurationError {
            // What is wrong with the configuration is a finding like others; the rest is examined with the defaults.
            findings.append(
                InspectionFinding(
                    .error, "configuration", "\(error)", remedy: "Correct it, or see 'swiftlet config --help'"))
        }
        let inspection = Inspection(
            settings, configurationFile: configuration.file, logLines: logLines, logger: commandLogger("inspect"))
        var outcome = try await inspection.run(to: file ?? inspection.defaultName())
        outcome.findings = findings + outcome.findings
        switch output.format {
        case .text: show(outcome)
        case .json: print(outcome.json.text(indented: true))
        }
    }

    private func show(_ outcome: Inspection.Outcome) {
        if outcome.findings.isEmpty { print("Nothing wrong was found.") }
        for finding in outcome.findings {
            print("\(mark(finding.severity)) \(finding.subject): \(finding.summary)")
            if !finding.remedy.isEmpty { print("        Remedy: \(finding.remedy)") }
        }
        print("\nWrote \(outcome.file) (\(sizeText(outcome.bytes)))")
        if !outcome.omitted.isEmpty { print("Not in it: \(outcome.omitted.joined(separator: "; "))") }
    }

    private func mark(_ severity: Finding.Severity) -> String {
        switch severity {
        case .ok, .info: "info   "
        case .warning: "warning"
        case .error: "ERROR  "
        }
    }
}
