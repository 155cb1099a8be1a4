// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContainerImages
import JSON

/// `swiftlet images list`.
struct ImagesListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the images on this node.",
        discussion: """
            Example:
              swiftlet images list -o json
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
        let images = try await configuration.openImages().list()
        switch output.format {
        case .text:
            let rows = images.flatMap { image in
                (image.names.isEmpty ? ["<none>"] : image.names).map { name in
                    [name, String(image.id.description.suffix(64).prefix(12)), sizeText(image.size)]
                }
            }
            printTable(["IMAGE", "ID", "SIZE"], rows)
        case .json:
            let json = JSON.array(
                images.map { image in
                    [
                        "id": .string(image.id.description), "names": JSON(image.names),
                        "digests": JSON(image.digests), "size": .int(Int64(image.size)),
                    ]
                })
            print(json.text(indented: true))
        }
    }
}
