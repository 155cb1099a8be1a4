// SPDX-License-Identifier: Apache-2.0

/// The media types of image-spec 1.1 and of Docker's schema 2, which registries serve side by side.
package enum MediaType {
    package static let ociIndex = "application/vnd.oci.image.index.v1+json"
    package static let ociManifest = "application/vnd.oci.image.manifest.v1+json"
    package static let ociConfig = "application/vnd.oci.image.config.v1+json"
    package static let ociLayer = "application/vnd.oci.image.layer.v1.tar"
    package static let ociLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip"
    package static let ociLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd"
    package static let ociNondistributableLayer = "application/vnd.oci.image.layer.nondistributable.v1.tar"
    package static let ociNondistributableLayerGzip = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
    package static let ociEmpty = "application/vnd.oci.empty.v1+json"
    package static let dockerManifestList = "application/vnd.docker.distribution.manifest.list.v2+json"
    package static let dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
    package static let dockerConfig = "application/vnd.docker.container.image.v1+json"
    package static let dockerLayer = "application/vnd.docker.image.rootfs.diff.tar"
    package static let dockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip"
    package static let dockerLayerZstd = "application/vnd.docker.image.rootfs.diff.tar.zstd"
    package static let dockerForeignLayerGzip = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

    /// Whether a document of this type lists manifests for several platforms.
    package static func isIndex(_ type: String) -> Bool { type == ociIndex || type == dockerManifestList }
    /// Whether a document of this type is one image's manifest.
    package static func isManifest(_ type: String) -> Bool { type == ociManifest || type == dockerManifest }
}

/// A reference to content by digest (image-spec, descriptor.md).
package struct Descriptor: SpecValue {
    package var mediaType: String
    /// `sha256:` and 64 hexadecimal digits.
    package var digest: String
    /// The content's bytes.
    package var size: Int64
    /// Other places to fetch it from.
    package var urls: [String] = []
    package var annotations: [String: String] = [:]
    /// The content itself, base64.
    package var data: String?
    package var artifactType: String?
    /// What the content runs on, in an index.
    package var platform: Platform?

    package init(mediaType: String, digest: String, size: Int64, platform: Platform? = nil) {
        self.mediaType = mediaType
        self.digest = digest
        self.size = size
        self.platform = platform
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        mediaType = try reader.requiredString("mediaType")
        digest = try reader.requiredString("digest")
        guard let size: Int64 = try reader.integer("size") else {
            throw OCISpecError(path: reader.path(of: "size"), reason: "is required")
        }
        guard size >= 0 else { throw OCISpecError(path: reader.path(of: "size"), reason: "\(size) is negative") }
        self.size = size
        urls = try reader.strings("urls")
        annotations = try reader.stringMap("annotations")
        data = try reader.string("data")
        artifactType = try reader.string("artifactType")
        platform = try reader.value("platform")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("mediaType", mediaType)
        writer.add("digest", digest)
        writer.add("size", size)
        writer.add("urls", urls)
        writer.add("annotations", annotations)
        writer.add("data", data)
        writer.add("platform", platform)
        writer.add("artifactType", artifactType)
    }
}

/// What an image runs on; the names are Go's (`linux`, `arm64`, `v8`).
package struct Platform: SpecValue {
    package var architecture: String
    package var os: String
    package var osVersion: String?
    package var osFeatures: [String] = []
    /// The CPU's variant, `v7` for 32-bit ARM.
    package var variant: String?

    package init(architecture: String, os: String, variant: String? = nil) {
        self.architecture = architecture
        self.os = os
        self.variant = variant
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        architecture = try reader.requiredString("architecture")
        os = try reader.requiredString("os")
        osVersion = try reader.string("os.version")
        osFeatures = try reader.strings("os.features")
        variant = try reader.string("variant")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("architecture", architecture)
        writer.add("os", os)
        writer.add("os.version", osVersion)
        writer.add("os.features", osFeatures)
        writer.add("variant", variant)
    }
}

/// The manifests of one image for several platforms (image-spec, image-index.md), or Docker's manifest list.
package struct ImageIndex: SpecValue {
    package var schemaVersion = 2
    package var mediaType: String?
    package var artifactType: String?
    package var manifests: [Descriptor]
    package var subject: Descriptor?
    package var annotations: [String: String] = [:]

    package init(manifests: [Descriptor], mediaType: String? = MediaType.ociIndex) {
        self.manifests = manifests
        self.mediaType = mediaType
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        schemaVersion = try reader.schemaVersion2()
        mediaType = try reader.string("mediaType")
        artifactType = try reader.string("artifactType")
        manifests = try reader.values("manifests")
        subject = try reader.value("subject")
        annotations = try reader.stringMap("annotations")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("schemaVersion", schemaVersion)
        writer.add("mediaType", mediaType)
        writer.add("artifactType", artifactType)
        writer.add("manifests", required: manifests)
        writer.add("subject", subject)
        writer.add("annotations", annotations)
    }
}

/// One image for one platform: its configuration and layers (image-spec, manifest.md).
package struct ImageManifest: SpecValue {
    package var schemaVersion = 2
    package var mediaType: String?
    package var artifactType: String?
    package var config: Descriptor
    /// The layers, the lowest first.
    package var layers: [Descriptor]
    package var subject: Descriptor?
    package var annotations: [String: String] = [:]

    package init(config: Descriptor, layers: [Descriptor], mediaType: String? = MediaType.ociManifest) {
        self.config = config
        self.layers = layers
        self.mediaType = mediaType
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        schemaVersion = try reader.schemaVersion2()
        mediaType = try reader.string("mediaType")
        artifactType = try reader.string("artifactType")
        config = try reader.requiredValue("config")
        layers = try reader.values("layers")
        subject = try reader.value("subject")
        annotations = try reader.stringMap("annotations")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("schemaVersion", schemaVersion)
        writer.add("mediaType", mediaType)
        writer.add("artifactType", artifactType)
        writer.add("config", config)
        writer.add("layers", required: layers)
        writer.add("subject", subject)
        writer.add("annotations", annotations)
    }
}

extension SpecReader {
    /// The `schemaVersion` of an index or manifest, which must be 2; 1 was a signed format that nobody serves now.
    fileprivate func schemaVersion2() throws(OCISpecError) -> Int {
        let version: Int = try integer("schemaVersion") ?? 0
        guard version == 2 else {
            throw OCISpecError(path: path(of: "schemaVersion"), reason: "is \(version), only 2 is supported")
        }
        return version
    }
}
