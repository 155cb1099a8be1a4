// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ContainerImages

/// `swiftlet images import`.
struct ImagesImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Import a docker archive or an OCI image layout.")

    @OptionGroup var configuration: ConfigurationOptions

    @Option(help: "The name for images that the archive gives none.")
    var name: String?

    @Argument(help: "The archive, or - for standard input.")
    var archive: String

    func run() async throws {
        let source = archive == "-" ? ImageArchive.descriptor(0) : .file(archive)
        for image in try await configuration.openImages().importArchive(source, name: name) {
            for name in image.names { print(name) }
        }
    }
}

/// `swiftlet images export`.
struct ImagesExportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Export images as an archive that docker, podman and Swiftlet read.")

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
        commandName: "pull", abstract: "Pull an image from its registry.")

    @OptionGroup var configuration: ConfigurationOptions

    @Argument(help: "The image's name, with tag or digest.")
    var image: String

    func run() async throws {
        let pulled = try await configuration.openImages().pull(image)
        print(pulled.reference)
    }
}

/// `swiftlet images remove`.
struct ImagesRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove", abstract: "Remove names of images, and images that have none left.")

    @OptionGroup var configuration: ConfigurationOptions

    @Argument(help: "The images' names.")
    var images: [String]

    func run() async throws {
        let service = try await configuration.openImages()
        for image in images {
            let removal = try await service.remove(image)
            for name in removal.names { print("untagged: \(name)") }
            if removal.isImageGone { print("deleted: \(removal.id)") }
        }
    }
}
