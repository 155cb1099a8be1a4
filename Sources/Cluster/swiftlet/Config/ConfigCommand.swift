// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
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
        commandName: "kubeconfig", abstract: "Print the administrator's kubeconfig (the default).")

    @OptionGroup var configuration: ConfigurationOptions

    func run() throws {
        let path = try configuration.load().kubeconfigPath
        do {
            print(try Files.readText(path), terminator: "")
        } catch {
            throw ValidationError(
                "\(error); the agent writes it when it starts: is swiftlet running, and are you root or in group swiftlet?"
            )
        }
    }
}

/// `swiftlet config check`.
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a configuration file; exit status 1 and the reason if it is refused.")

    @Argument(help: "The file.")
    var file = ConfigurationOptions.defaultPath

    func run() throws {
        _ = try Configuration.load(file, required: true)
        print("\(file) is valid")
    }
}

/// `swiftlet config defaults`.
struct ConfigDefaultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "defaults", abstract: "Print a configuration file with every field, its default and its meaning.")

    func run() { print(Configuration.documentedDefaults, terminator: "") }
}
