// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import SwiftletCore

/// `swiftlet backup`.
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write the cluster's state, keys and configuration to one file.",
        discussion: """
            The agent may run meanwhile. The file holds private keys and Secrets: keep it as carefully as them.
            Images and containers' volumes are not part of it.

            Example:
              sudo swiftlet backup /mnt/usb/swiftlet-$(date +%F).tar.gz
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The file to write; one that is there is replaced.")
    var file: String

    func run() throws {
        let settings = try configuration.load()
        let manifest = try Backup(settings, configurationFile: configuration.file).write(to: file)
        switch output.format {
        case .text: print("Wrote \(file): \(manifest.files.count) files of node \(manifest.nodeName)")
        case .json: print(manifest.json.text(indented: true))
        }
    }
}

/// `swiftlet restore`.
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make the state of a backup that of this node; the agent must not run.",
        discussion: """
            The backup is verified before anything is changed. State that is there is moved aside with --force.

            Examples:
              sudo swiftlet stop
              sudo swiftlet restore /mnt/usb/swiftlet-2026-01-31.tar.gz --force
              sudo swiftlet start
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The file that 'swiftlet backup' wrote.")
    var file: String

    @Flag(help: "Move state that is there aside.")
    var force = false

    func run() throws {
        let outcome = try Restore(configuration.load(), configurationFile: configuration.file).run(file, force: force)
        switch output.format {
        case .text:
            print(
                "Restored \(outcome.values) objects of node \(outcome.manifest.nodeName), \(outcome.manifest.created)")
            if let aside = outcome.movedAside { print("The old state is \(aside); remove it when all is well") }
            if !outcome.restoredConfiguration { print("The configuration that is there was kept") }
        case .json:
            var json: JSON = [
                "manifest": outcome.manifest.json, "objects": JSON(outcome.values),
                "restoredConfiguration": .bool(outcome.restoredConfiguration),
            ]
            if let aside = outcome.movedAside { json["movedAside"] = .string(aside) }
            print(json.text(indented: true))
        }
    }
}
