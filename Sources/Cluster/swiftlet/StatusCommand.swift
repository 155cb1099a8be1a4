// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import SwiftletCore

/// `swiftlet status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how this node does; exit status 1 if it is not ready.",
        discussion: """
            Examples:
              swiftlet status
              swiftlet status --wait-ready --timeout 120
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Wait until the node is ready.")
    var waitReady = false

    @Option(help: "Seconds to wait at most.")
    var timeout = 60

    func run() async throws {
        let settings = try configuration.load()
        let logger = commandLogger("status")
        var report = try await NodeStatusReport.read(settings, logger: logger)
        let deadline = ContinuousClock.now + .seconds(timeout)
        while waitReady, !report.isReady, ContinuousClock.now < deadline {
            try await Task.sleep(for: .milliseconds(100))
            report = try await NodeStatusReport.read(settings, logger: logger)
        }
        switch output.format {
        case .text: show(report)
        case .json: print(report.json.text(indented: true))
        }
        if !report.isReady { throw ExitCode.failure }
    }

    private func show(_ report: NodeStatusReport) {
        print("node:     \(report.nodeName)")
        print("ready:    \(report.isReady ? "yes" : "no")\(report.isReady ? "" : reason(report))")
        print("pods:     \(report.runningPods) running of \(report.pods)")
        print("version:  \(ProductVersion.swiftlet) (Kubernetes \(ProductVersion.kubernetes))")
        if !report.apiAnswers { print("remedy:   see 'systemctl status swiftlet' and 'journalctl -u swiftlet'") }
    }

    private func reason(_ report: NodeStatusReport) -> String {
        let why = report.apiError.isEmpty ? report.readyMessage : report.apiError
        return why.isEmpty ? "" : " (\(why))"
    }
}
