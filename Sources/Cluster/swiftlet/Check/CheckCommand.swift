// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import HostChecks
import JSON
import LinuxSystem
import SwiftletCore

/// `swiftlet check`.
struct CheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Examine this machine: what is wrong, why it matters and what to do.",
        discussion: """
            Exit status 1 if containers cannot work here. Nothing is changed without --fix.

            Examples:
              swiftlet check
              sudo swiftlet check --fix
              swiftlet check -o json
              sudo swiftlet check --root /mnt/copy-of-a-board --fix
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Flag(help: "Repair what can be repaired, after asking.")
    var fix = false

    @Flag(help: "Do not ask.")
    var yes = false

    @Option(help: "Examine and repair files below this directory, such as a copy of another machine's.")
    var root = ""

    func validate() throws {
        if !root.isEmpty, !Files.exists(root) { throw ValidationError("--root \(root) does not exist") }
        if fix, output.format == .json, !yes { throw ValidationError("--fix with -o json asks nobody: add --yes") }
    }

    func run() throws {
        let isThisMachine = root.isEmpty
        let settings = isThisMachine ? try configuration.load().withMembership : try configuration.load()
        let findings = NodeChecks.examine(
            settings, root: root, includesPorts: isThisMachine && AgentProcess.find(settings) == nil,
            dropsForwarded: isThisMachine ? Self.dropsForwarded() : nil)
        if output.format == .text { show(findings) }
        let results = fix ? try repair(findings) : []
        let needsReboot = results.contains { $0.fix.needsReboot }
        switch output.format {
        case .text: if needsReboot { print("Reboot now for it to take effect: systemctl reboot") }
        case .json:
            let json: JSON = [
                "findings": .array(findings.map(\.json)), "fixed": JSON(results.map(\.text)),
                "rebootNeeded": .bool(needsReboot),
            ]
            print(json.text(indented: true))
        }
        let healed = Set(results.map(\.fix))
        let remaining = findings.contains { finding in
            finding.severity == .error && !(finding.fix.map { healed.contains($0) } ?? false)
        }
        if remaining { throw ExitCode.failure }
    }

    // MARK: Repairing

    private func repair(_ findings: [Finding]) throws -> [(fix: Fix, text: String)] {
        var results: [(Fix, String)] = []
        for fix in findings.compactMap(\.fix) where try confirm(fix) {
            do {
                let text = try fix.apply(in: root)
                results.append((fix, text))
                if output.format == .text { print(text) }
            } catch let error as SystemError where error.isDenied {
                throw ValidationError("\(error); repairing needs root: sudo swiftlet check --fix")
            }
        }
        if results.isEmpty, output.format == .text { print("Nothing was changed.") }
        return results
    }

    private func confirm(_ fix: Fix) throws -> Bool {
        if yes { return true }
        guard Terminal.isTerminal(0) else {
            throw ValidationError("standard input is no terminal to ask at: add --yes to repair without asking")
        }
        print("\(fix.question) [y/N] ", terminator: "")
        return ["y", "yes"].contains((readLine() ?? "").lowercased())
    }

    // MARK: Printing

    private func show(_ findings: [Finding]) {
        for topic in Finding.Topic.allCases {
            let group = findings.filter { $0.topic == topic }
            guard !group.isEmpty else { continue }
            print(topic.rawValue.uppercased())
            for finding in group {
                print("  \(Self.mark(finding.severity)) \(finding.summary)")
                if !finding.why.isEmpty { print("          \(finding.why)") }
                if !finding.remedy.isEmpty { print("          Remedy: \(finding.remedy)") }
            }
        }
        let counts = [Finding.Severity.error, .warning].map { severity in
            let count = findings.count { $0.severity == severity }
            return "\(count) \(severity.rawValue)\(count == 1 ? "" : "s")"
        }
        print("\n\(counts.joined(separator: ", "))")
    }

    private static func mark(_ severity: Finding.Severity) -> String {
        switch severity {
        case .ok: "ok     "
        case .info: "info   "
        case .warning: "warning"
        case .error: "ERROR  "
        }
    }

    /// Asks iptables, where it is installed, for its policy: the kernel's files do not tell.
    private static func dropsForwarded() -> Bool? {
        guard let path = Program.find("iptables"), let result = try? Program.run(path, ["-S", "FORWARD"]),
            result.status == 0
        else {
            // Not installed, or not root: nobody knows, which is no finding.
            return nil
        }
        return result.output.split(separator: "\n").contains("-P FORWARD DROP")
    }
}
