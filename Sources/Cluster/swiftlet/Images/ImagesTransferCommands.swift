// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContainerImages
import JSON

/// `swiftlet images import`.
struct ImagesImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Import a docker archive or an OCI image layout.",
        discussion: """
            Examples:
              swiftlet images import web.tar
              docker save web:1 | swiftlet images import -
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Option(help: "The name for images that the archive gives none.")
    var name: String?

    @Argument(help: "The archive, or - for standard input.")
    var archive: String

    func run() async throws {
        let source = archive == "-" ? ImageArchive.descriptor(0) : .file(archive)
        let names = try await configuration.openImages().importArchive(source, name: name).flatMap(\.names)
        if output.format == .text { for name in names { print(name) } }
        output.show(["imported": JSON(names)])
    }
}

/// `swiftlet images export`.
struct ImagesExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Export images as an archive that docker, podman and Swiftlet read.",
        discussion: """
            Example:
              swiftlet images export web:1 --output web.tar
            """)

    @OptionGroup var configuration: ConfigurationOptions

    @Option(name: .shortAndLong, help: "The archive, or - for standard output.")
    var output = "-"

    @Argument(help: "The images' names.")
    var images: [String]

    func run() async throws {
        let target = output == "-" ? ImageArchive.descriptor(1) : .file(output)
        try await configuration.openImages().exportArchive(images, to: target)
    }
}

/// `swiftlet images pull`.
struct ImagesPullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull", abstract: "Pull an image from its registry.",
        discussion: """
            Example:
              swiftlet images pull docker.io/library/busybox:1.37
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The image's name, with tag or digest.")
    var image: String

    func run() async throws {
        let pulled = try await configuration.openImages().pull(image)
        if output.format == .text { print(pulled.reference) }
        output.show(["id": .string(pulled.id.description), "reference": .string(pulled.reference)])
    }
}

/// `swiftlet images remove`.
struct ImagesRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove names of images, and images that have none left.",
        discussion: """
            Example:
              swiftlet images remove web:1
            """)

    @OptionGroup var configuration: ConfigurationOptions
    @OptionGroup var output: OutputOptions

    @Argument(help: "The images' names.")
    var images: [String]

    func run() async throws {
        let service = try await configuration.openImages()
        var untagged: [String] = []
        var deleted: [String] = []
        for image in images {
            let removal = try await service.remove(image)
            untagged += removal.names
            for name in removal.names { output.say("untagged: \(name)") }
            guard removal.isImageGone else { continue }
            deleted.append(removal.id.description)
            output.say("deleted: \(removal.id)")
        }
        output.show(["untagged": JSON(untagged), "deleted": JSON(deleted)])
    }
}
