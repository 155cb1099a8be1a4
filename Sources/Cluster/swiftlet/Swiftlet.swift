// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Logging
import SwiftletCore

/// The command line. One file for each command.
@main
struct Swiftlet: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "swiftlet",
        abstract: "A small, complete Kubernetes for ARM boards.",
        discussion: """
            The agent runs as the systemd unit swiftlet.service; look after it with systemctl and journalctl.
            Work with the cluster through kubectl: `swiftlet kubectl get nodes`, or kubectl with the kubeconfig that
            `swiftlet config` prints.
            """,
        version: ProductVersion.swiftlet,
        subcommands: [
            RunCommand.self, StatusCommand.self, VersionCommand.self, ImagesCommand.self, KubectlCommand.self,
            ConfigCommand.self, CheckCommand.self, StartCommand.self, StopCommand.self, RestartCommand.self,
            LogsCommand.self, InspectCommand.self, AddNodeCommand.self, JoinCommand.self, LeaveCommand.self,
            RemoveNodeCommand.self, TokenCommand.self, CertificatesCommand.self, BackupCommand.self,
            RestoreCommand.self, ResetCommand.self,
        ])
}

/// What most commands need: the configuration.
struct ConfigurationOptions: ParsableArguments {
    /// Where the configuration is looked for when nothing else is said.
    static let defaultPath = "/etc/swiftlet/config.yaml"

    @Option(name: .customLong("config"), help: "The configuration file.")
    var path: String?

    /// The file that is read.
    var file: String { path ?? Self.defaultPath }

    /// Reads the configuration; the default file may be missing, one that is named may not.
    func load() throws -> Configuration {
        try Configuration.load(path ?? Self.defaultPath, required: path != nil)
    }
}

/// The logger of a command that tells its user what is wrong itself.
func commandLogger(_ label: String) -> Logger {
    var logger = Logger(label: label) { StandardLogging.handler($0) }
    logger.logLevel = .critical
    return logger
}
