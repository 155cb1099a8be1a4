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
              swiftlet status -o yaml
              swiftlet status --wait-ready --timeout 120
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @Option(name: [.customShort("o"), .customLong("output")], help: "How to print: text, json or yaml.")
    var output = Format.text

    enum Format: String, ExpressibleByArgument, CaseIterable {
        case text
        case json
        case yaml
    }

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
        switch output {
        case .text: show(report)
        case .json: print(report.json.text(indented: true))
        case .yaml: print(try report.yaml(), terminator: "")
        }
        if !report.isReady { throw ExitCode.failure }
    }

    private func show(_ report: NodeStatusReport) {
        print("node:     \(report.nodeName)")
        print("ready:    \(report.isReady ? "yes" : "no")\(report.isReady ? "" : reason(report))")
        print("pods:     \(report.runningPods) running of \(report.pods)")
        print("roles:    \(report.roles.joined(separator: ", "))")
        if let bytes = report.local.storeBytes { print("store:    SQLite, \(sizeText(bytes))") }
        let certificates = report.local.certificates
        if let bad = certificates.first(where: \.state.isBad) {
            print("certs:    \(bad.name) is \(bad.state.rawValue); see 'swiftlet certificates status'")
        } else if let first = certificates.first, let days = first.remainingDays {
            print("certs:    the first expires in \(days) days (\(first.name))")
        }
        print("version:  \(ProductVersion.swiftlet) (Kubernetes \(ProductVersion.kubernetes))")
        showUse(report.local)
        if !report.unfinished.isEmpty { print("remedy:   \(report.unfinished)") }
        if !report.apiAnswers { print("remedy:   see 'systemctl status swiftlet' and 'journalctl -u swiftlet'") }
    }

    private func showUse(_ local: LocalStatus) {
        let rows = local.components.filter { $0.use.processes > 0 }.map { component, use in
            [
                component, "\(use.processes)", sizeText(use.proportionalBytes),
                "\(Double(use.processorMilliseconds / 100) / 10) s", sizeText(use.writtenBytes),
            ]
        }
        guard !rows.isEmpty else { return }
        print("")
        printTable(["COMPONENT", "PROCESSES", "MEMORY", "CPU", "WRITTEN"], rows)
    }

    private func reason(_ report: NodeStatusReport) -> String {
        let why = report.apiError.isEmpty ? report.readyMessage : report.apiError
        return why.isEmpty ? "" : " (\(why))"
    }
}
