// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import SwiftletCore

/// `swiftlet run`: the agent.
struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run the agent in the foreground, as systemd does.",
        discussion: """
            Ends in good order on SIGTERM and SIGINT. Containers go on running and are taken over by the next start.

            Example:
              swiftlet run --config /etc/swiftlet/config.yaml
            """)

    @OptionGroup var configuration: ConfigurationOptions

    func run() async throws {
        let agent = try Agent(configuration: configuration.load())
        try await agent.run()
    }
}
