// SPDX-License-Identifier: Apache-2.0

/// An image's configuration: how to run it and what it is made of (image-spec, config.md).
package struct ImageConfig: SpecValue {
    /// When it was made, RFC 3339.
    package var created: String?
    package var author: String?
    package var architecture: String
    package var os: String
    package var osVersion: String?
    package var osFeatures: [String] = []
    package var variant: String?
    /// How to run it.
    package var config: Execution?
    package var rootfs: RootFS
    package var history: [History] = []

    package init(architecture: String, os: String, rootfs: RootFS, config: Execution? = nil) {
        self.architecture = architecture
        self.os = os
        self.rootfs = rootfs
        self.config = config
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        created = try reader.string("created")
        author = try reader.string("author")
        architecture = try reader.string("architecture") ?? ""
        os = try reader.string("os") ?? ""
        osVersion = try reader.string("os.version")
        osFeatures = try reader.strings("os.features")
        variant = try reader.string("variant")
        config = try reader.value("config")
        rootfs = try reader.requiredValue("rootfs")
        history = try reader.values("history")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("created", created)
        writer.add("author", author)
        writer.add("architecture", architecture)
        writer.add("os", os)
        writer.add("os.version", osVersion)
        writer.add("os.features", osFeatures)
        writer.add("variant", variant)
        writer.add("config", config)
        writer.add("rootfs", rootfs)
        writer.add("history", history)
    }
}

extension ImageConfig {
    /// The defaults for a container made from the image.
    package struct Execution: SpecValue {
        /// `user`, `uid`, `user:group`, `uid:gid` and so on; names are looked up in the image.
        package var user: String?
        /// `80/tcp` and so on.
        package var exposedPorts: [String] = []
        /// `KEY=value`.
        package var env: [String] = []
        package var entrypoint: [String]?
        package var cmd: [String]?
        /// Directories that want storage of their own.
        package var volumes: [String] = []
        package var workingDir: String?
        package var labels: [String: String] = [:]
        /// `SIGTERM` or a number.
        package var stopSignal: String?

        package init() {}

        package init(from reader: SpecReader) throws(OCISpecError) {
            user = try reader.string("User")
            exposedPorts = try reader.nameSet("ExposedPorts")
            env = try reader.strings("Env")
            entrypoint = try reader.optionalStrings("Entrypoint")
            cmd = try reader.optionalStrings("Cmd")
            volumes = try reader.nameSet("Volumes")
            workingDir = try reader.string("WorkingDir")
            labels = try reader.stringMap("Labels")
            stopSignal = try reader.string("StopSignal")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("User", user)
            writer.add("ExposedPorts", nameSet: exposedPorts)
            writer.add("Env", env)
            writer.add("Entrypoint", optional: entrypoint)
            writer.add("Cmd", optional: cmd)
            writer.add("Volumes", nameSet: volumes)
            writer.add("WorkingDir", workingDir)
            writer.add("Labels", labels)
            writer.add("StopSignal", stopSignal)
        }
    }

    /// The layers by the digests of their uncompressed content.
    package struct RootFS: SpecValue {
        /// Always `layers`.
        package var type = "layers"
        /// The lowest layer first.
        package var diffIDs: [String]

        package init(diffIDs: [String]) { self.diffIDs = diffIDs }

        package init(from reader: SpecReader) throws(OCISpecError) {
            type = try reader.requiredString("type")
            diffIDs = try reader.strings("diff_ids")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("type", type)
            writer.add("diff_ids", optional: diffIDs)
        }
    }

    /// How a layer came to be.
    package struct History: SpecValue {
        package var created: String?
        package var createdBy: String?
        package var author: String?
        package var comment: String?
        /// Whether the step made no layer.
        package var isEmptyLayer = false

        package init(created: String? = nil, createdBy: String? = nil) {
            self.created = created
            self.createdBy = createdBy
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            created = try reader.string("created")
            createdBy = try reader.string("created_by")
            author = try reader.string("author")
            comment = try reader.string("comment")
            isEmptyLayer = try reader.bool("empty_layer")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("created", created)
            writer.add("created_by", createdBy)
            writer.add("author", author)
            writer.add("comment", comment)
            writer.addIfTrue("empty_layer", isEmptyLayer)
        }
    }
}
