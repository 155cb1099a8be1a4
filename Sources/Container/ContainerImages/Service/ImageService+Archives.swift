// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// Where an image archive is read from or written to.
package enum ImageArchive: Hashable, Sendable {
    case file(String)
    /// An open descriptor of the caller's, which is duplicated: standard input or output.
    case descriptor(Int32)

    var subject: String {
        switch self {
        case .file(let path): path
        case .descriptor(0): "standard input"
        case .descriptor(1): "standard output"
        case .descriptor(let number): "descriptor \(number)"
        }
    }
}

extension ImageService {
    /// Imports the images of a docker archive or an OCI image layout, compressed or not, with their names.
    ///
    /// - Parameter name: the name for images that the archive gives none.
    /// - Returns: the images; if one of several cannot be imported, those before it stay.
    package func importArchive(
        _ source: ImageArchive, name: String? = nil, progress: (@Sendable (ImageProgress) -> Void)? = nil
    ) async throws(ImageError) -> [Image] {
        let defaultName = try name.map { text throws(ImageError) in try ImageReference(parsing: text) }
        let operation = "import images from \(source.subject)"
        let (store, platform) = (self.store, configuration.platform)
        do throws(ImageError) {
            let session = try await blocking(operation) { try IngestSession(store: store) }
            let result: Result<[Image], ImageError>
            do throws(ImageError) {
                result = .success(
                    try await Self.importImages(source, defaultName, session, platform, ProgressMeter(progress)))
            } catch {
                result = .failure(error)
            }
            try await blocking(operation) { session.close() }
            return try result.get()
        } catch {
            throw error.operation == operation ? error : error.wrapped(operation)
        }
    }

    private static func importImages(
        _ source: ImageArchive, _ defaultName: ImageReference?, _ session: IngestSession, _ platform: Platform,
        _ progress: ProgressMeter
    ) async throws(ImageError) -> [Image] {
        let store = session.store
        let (archive, archived) = try await blocking("read the archive") {
            let archive = try ArchiveReader(try open(source), subject: source.subject, session: session)
            let catalog = ArchiveCatalog(
                archive: archive, platform: platform, limits: store.limits, defaultName: defaultName)
            return (archive, try catalog.images())
        }
        let importer = ArchiveImport(session: session, archive: archive, platform: platform, progress: progress)
        var images: [Image] = []
        for image in archived { images.append(try await importer.run(image)) }
        return images
    }

    private static func open(_ source: ImageArchive) throws -> SharedFile {
        switch source {
        case .file(let path): SharedFile(try FileDescriptor.open(reading: path))
        case .descriptor(let number): SharedFile(try FileDescriptor.duplicate(number))
        }
    }

    /// Writes images as one archive that docker, podman and containerd load.
    ///
    /// A file appears under its name only when it is complete.
    ///
    /// - Parameter references: names (the archive has just these) or IDs (with all their names).
    /// - Throws: ``ImageError/Kind/notFound``.
    package func exportArchive(_ references: [String], to target: ImageArchive) async throws(ImageError) {
        let operation = "export images to \(target.subject)"
        let store = self.store
        do throws(ImageError) {
            try await blocking(operation) {
                // The lease keeps the layers while they are read, even if the image is removed meanwhile.
                let session = try IngestSession(store: store)
                defer { session.close() }
                let items = try references.map { try Self.item($0, store) }
                try session.protect(
                    layers: items.flatMap(\.image.layers), blobs: items.flatMap { [$0.image.id, $0.image.manifest] })
                try Self.write(items, to: target, store)
            }
        } catch {
            throw error.operation == operation ? error : error.wrapped(operation)
        }
    }

    private static func item(_ reference: String, _ store: ImageStore) throws -> ArchiveExport.Item {
        guard let image = try store.image(reference) else { throw ImageStore.missing(reference, "export") }
        // What is no name is an ID; that was looked up above.
        let name = (try? ImageReference(parsing: reference))?.withDefaultTag.description
        let names = name.map { image.names.contains($0) ? [$0] : image.names } ?? image.names
        return ArchiveExport.Item(image: image, names: names)
    }

    private static func write(_ items: [ArchiveExport.Item], to target: ImageArchive, _ store: ImageStore) throws {
        let export = ArchiveExport(store: store)
        switch target {
        case .descriptor(let number):
            try export.write(items, to: SharedFile(try FileDescriptor.duplicate(number)), subject: target.subject)
        case .file(let path):
            let slash = path.lastIndex(of: "/")
            let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
            let name = slash.map { String(path[path.index(after: $0)...]) } ?? path
            let parent = SharedDirectory(try DirectoryHandle(path: directory))
            let temporary = ".\(name.prefix(200)).\(try ImageStore.uniqueName())"
            let file = SharedFile(try parent.handle.createFile(temporary, permissions: 0o644))
            do {
                try export.write(items, to: file, subject: path)
                try file.descriptor.synchronize(path)
                try parent.handle.rename(temporary, to: name, in: parent.handle)
            } catch {
                // The first error is the one to report.
                try? parent.handle.removeFile(temporary)
                throw error
            }
        }
    }
}
