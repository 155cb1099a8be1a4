// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import JSON
import LinuxSystem
import SwiftletCore

/// `swiftlet config`: the kubeconfig, and what concerns the agent's configuration.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Print a kubeconfig for this cluster, or check the agent's configuration.",
        discussion: """
            Examples:
              swiftlet config > ~/.kube/config
              swiftlet config check /etc/swiftlet/config.yaml
            """,
        subcommands: [ConfigKubeconfigCommand.self, ConfigCheckCommand.self, ConfigDefaultsCommand.self],
        defaultSubcommand: ConfigKubeconfigCommand.self)
}

/// `swiftlet config kubeconfig`.
struct ConfigKubeconfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kubeconfig", abstract: "Print the administrator's kubeconfig (the default).",
        discussion: """
            Example:
              swiftlet config kubeconfig > ~/.kube/config
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() throws {
        let settings = try configuration.load()
        try ClusterAccess(settings, logger: commandLogger("config")).requireControlPlane("print a kubeconfig")
        let path = settings.kubeconfigPath
        let text: String
        do {
            text = try Files.readText(path)
        } catch {
            let remedy =
                error.isDenied
                ? "run it with sudo, or as a member of group swiftlet"
                : "the agent writes it when it starts: is swiftlet running?"
            throw ValidationError("\(error); \(remedy)")
        }
        switch output.format {
        case .text: print(text, terminator: "")
        case .json: print(try YAMLDocument.parse(text).text(indented: true))
        }
    }
}

/// `swiftlet config check`.
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a configuration file; exit status 1 and the reason if it is refused.",
        discussion: """
            Example:
              swiftlet config check /etc/swiftlet/config.yaml
            """)

    @OptionGroup var output: OutputOptions

    @Argument(help: "The file.")
    var file = ConfigurationOptions.defaultPath

    func run() throws {
        _ = try Configuration.load(file, required: true)
        if output.format == .text { print("\(file) is valid") }
        output.show(["file": .string(file), "valid": true])
    }
}

/// `swiftlet config defaults`.
struct ConfigDefaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defaults", abstract: "Print a configuration file with every field, its default and its meaning.",
        discussion: """
            Example:
              swiftlet config defaults > config.yaml
            """)

    @OptionGroup var output: OutputOptions

    func run() throws {
        switch output.format {
        case .text: print(Configuration.documentedDefaults, terminator: "")
        case .json: print(try YAMLDocument.parse(Configuration.documentedDefaults).text(indented: true))
        }
    }
}
