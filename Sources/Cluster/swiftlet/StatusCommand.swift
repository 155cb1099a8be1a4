// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SwiftletCore

/// `swiftlet status`.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "status", abstract: "Show how this node does.")

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {}
}
