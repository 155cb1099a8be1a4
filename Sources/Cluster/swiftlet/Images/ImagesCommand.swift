// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContainerImages
import Logging
import SwiftletCore

/// `swiftlet images`: the node's images, also while the agent is not running.
struct ImagesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "images", abstract: "List, import, export, pull and remove the node's images.",
        discussion: """
            Examples:
              swiftlet images list
              docker save web:1 | swiftlet images import -
              swiftlet images export web:1 --output web.tar
            """,
        subcommands: [
            ImagesListCommand.self, ImagesImportCommand.self, ImagesExportCommand.self, ImagesPullCommand.self,
            ImagesRemoveCommand.self,
        ], defaultSubcommand: ImagesListCommand.self)
}

extension ConfigurationOptions {
    /// The node's images, opened beside the agent.
    func openImages() async throws -> ImageService {
        let configuration = try load()
        var logger = Logger(label: "images") { StandardLogging.handler($0) }
        logger.logLevel = .warning
        return try await ImageService(
            configuration: configuration.imageService, logger: logger, cleansUp: false)
    }
}
