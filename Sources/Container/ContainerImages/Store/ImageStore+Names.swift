// SPDX-License-Identifier: Apache-2.0

/// Looking images up, naming and removing them.
extension ImageStore {
    /// The image of a name (with tag or digest, normalised or not), of an ID, or of the first digits of one.
    package func image(_ reference: String) throws(ImageError) -> Image? {
        Self.find(reference, in: try images())
    }

    static func find(_ reference: String, in images: [Image]) -> Image? {
        if let image = find(id: reference, in: images) { return image }
        // What is no name can still be the beginning of an ID.
        if let name = try? ImageReference(parsing: reference) {
            let image = images.first { $0.isCalled(name.withDefaultTag) }
            if let image { return image }
        }
        let isPrefix = reference.utf8.count >= 4 && reference.allSatisfy(\.isHexDigit)
        let matches = isPrefix ? images.filter { $0.id.hex.hasPrefix(reference) } : []
        return matches.count == 1 ? matches.first : nil
    }

    private static func find(id: String, in images: [Image]) -> Image? {
        images.first { $0.id.description == id || $0.id.hex == id }
    }

    /// Adds an image or names to it; a tag that meant another image moves over.
    func record(_ image: Image) throws {
        try updateImages { images in
            for index in images.indices where images[index].id != image.id {
                images[index].names.removeAll { image.names.contains($0) }
            }
            guard let index = images.firstIndex(where: { $0.id == image.id }) else {
                images.append(image)
                return
            }
            images[index].names = Set(images[index].names).union(image.names).sorted()
            images[index].digests = Set(images[index].digests).union(image.digests).sorted()
            images[index].manifest = image.manifest
        }
    }

    /// Gives an image another name with a tag.
    package func tag(_ reference: String, as newName: ImageReference) throws(ImageError) {
        guard var image = try image(reference) else { throw Self.missing(reference, "tag") }
        image.names = [newName.withDefaultTag.description]
        try translating("tag image \"\(reference)\"") { try record(image) }
    }

    /// Takes a name away from its image, and the image if that was its last name; an ID takes the image with all names.
    ///
    /// - Returns: the names that are gone, and whether the image is.
    package func remove(_ reference: String) throws(ImageError) -> ImageRemoval {
        let removal = try translating("remove image \"\(reference)\"") {
            try updateImages { images in
                guard let found = Self.find(reference, in: images),
                    let index = images.firstIndex(where: { $0.id == found.id })
                else { throw Self.missing(reference, "remove") }
                // Only a name with a tag can be taken away alone.
                let name = (try? ImageReference(parsing: reference))?.withDefaultTag
                guard let name, name.digest == nil, found.names.contains(name.description), found.names.count > 1 else {
                    images.remove(at: index)
                    return ImageRemoval(id: found.id, names: found.names + found.digests, isImageGone: true)
                }
                images[index].names.removeAll { $0 == name.description }
                if !images[index].names.contains(where: { $0.hasPrefix("\(name.repository):") }) {
                    images[index].digests.removeAll { $0.hasPrefix("\(name.repository)@") }
                }
                return ImageRemoval(id: found.id, names: [name.description], isImageGone: false)
            }
        }
        if removal.isImageGone { try collectGarbage() }
        return removal
    }

    static func missing(_ reference: String, _ verb: String) -> ImageError {
        ImageError(
            .notFound, "\(verb) image \"\(reference)\"", "no such image",
            remedy: "`swiftlet images list` shows the images that are there")
    }
}

/// What ``ImageStore/remove(_:)`` took away.
package struct ImageRemoval: Hashable, Sendable {
    package let id: Digest
    /// The names that no longer mean the image.
    package let names: [String]
    /// Whether the image itself is gone, not only a name.
    package let isImageGone: Bool
}

extension Image {
    /// Whether a normalised name with a tag or digest means this image.
    func isCalled(_ name: ImageReference) -> Bool {
        guard let digest = name.digest else { return names.contains(name.description) }
        return digests.contains("\(name.repository)@\(digest)")
    }
}
