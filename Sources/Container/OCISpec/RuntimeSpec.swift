// SPDX-License-Identifier: Apache-2.0

/// A container's configuration, `config.json` (OCI runtime-spec 1.2, config.md and config-linux.md).
package struct RuntimeSpec: SpecValue {
    /// The version of the specification that this model follows.
    package static let currentVersion = "1.2.1"

    /// The specification's version that the document follows, SemVer 2.0.
    package var ociVersion: String
    /// The container's root file system.
    package var root: Root?
    /// The process to start; needed by `start`, not by `create`.
    package var process: Process?
    /// The host name in the container's UTS namespace.
    package var hostname: String?
    /// The NIS domain name in the container's UTS namespace.
    package var domainname: String?
    /// Mounts beyond the root file system, in the order in which they are made.
    package var mounts: [Mount] = []
    /// Programs to run at points of the life cycle.
    package var hooks = Hooks()
    /// Arbitrary metadata; keys are in reverse domain notation.
    package var annotations: [String: String] = [:]
    /// What is particular to Linux.
    package var linux = Linux()

    /// Creates an empty configuration of the current version.
    package init(process: Process? = nil, root: Root? = nil) {
        ociVersion = Self.currentVersion
        self.process = process
        self.root = root
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        ociVersion = try reader.requiredString("ociVersion")
        root = try reader.value("root")
        process = try reader.value("process")
        hostname = try reader.string("hostname")
        domainname = try reader.string("domainname")
        mounts = try reader.values("mounts")
        hooks = try reader.value("hooks") ?? Hooks()
        annotations = try reader.stringMap("annotations")
        linux = try reader.value("linux") ?? Linux()
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("ociVersion", ociVersion)
        writer.add("process", process)
        writer.add("root", root)
        writer.add("hostname", hostname)
        writer.add("domainname", domainname)
        writer.add("mounts", mounts)
        if hooks != Hooks() { writer.add("hooks", hooks) }
        writer.add("annotations", annotations)
        writer.add("linux", linux)
    }
}

extension RuntimeSpec {
    /// The container's root file system.
    package struct Root: SpecValue {
        /// Absolute, or relative to the bundle.
        package var path: String
        /// Whether the container sees it read-only.
        package var readonly: Bool

        package init(path: String, readonly: Bool = false) {
            self.path = path
            self.readonly = readonly
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            path = try reader.requiredString("path")
            readonly = try reader.bool("readonly")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("path", path)
            writer.addIfTrue("readonly", readonly)
        }
    }

    /// A mount in the container (config.md, "Mounts").
    package struct Mount: SpecValue {
        /// The absolute path inside the container.
        package var destination: String
        /// The file system type as in fstab(5); `bind` and nil with a bind option are bind mounts.
        package var type: String?
        /// A device, a directory or a dummy name; for bind mounts relative to the bundle or absolute.
        package var source: String?
        /// Options as in fstab(5), plus the ones that the specification lists (`rro`, `tmpcopyup`, `idmap`, ...).
        package var options: [String]
        /// The mapping of user ids for an id-mapped mount.
        package var uidMappings: [IDMapping] = []
        /// The mapping of group ids for an id-mapped mount.
        package var gidMappings: [IDMapping] = []

        package init(destination: String, type: String? = nil, source: String? = nil, options: [String] = []) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            destination = try reader.requiredString("destination")
            type = try reader.string("type")
            source = try reader.string("source")
            options = try reader.strings("options")
            uidMappings = try reader.values("uidMappings")
            gidMappings = try reader.values("gidMappings")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("destination", destination)
            writer.add("type", type)
            writer.add("source", source)
            writer.add("options", options)
            writer.add("uidMappings", uidMappings)
            writer.add("gidMappings", gidMappings)
        }
    }

    /// A range of ids inside a user namespace and where it lies outside (user_namespaces(7)).
    package struct IDMapping: SpecValue {
        /// The first id inside.
        package var containerID: UInt32
        /// The first id outside.
        package var hostID: UInt32
        /// The number of ids.
        package var size: UInt32

        package init(containerID: UInt32, hostID: UInt32, size: UInt32) {
            self.containerID = containerID
            self.hostID = hostID
            self.size = size
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            containerID = try reader.integer("containerID") ?? 0
            hostID = try reader.integer("hostID") ?? 0
            size = try reader.integer("size") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("containerID", containerID)
            writer.add("hostID", hostID)
            writer.add("size", size)
        }
    }

    /// Programs that the runtime calls at points of the container's life cycle (config.md, "POSIX-platform Hooks").
    package struct Hooks: SpecValue {
        /// Deprecated: like `createRuntime`, and run before it.
        package var prestart: [Hook] = []
        /// In the runtime's namespace, after the namespaces exist and before the root is switched.
        package var createRuntime: [Hook] = []
        /// In the container's namespace, before the root is switched.
        package var createContainer: [Hook] = []
        /// In the container's namespace, just before the process starts.
        package var startContainer: [Hook] = []
        /// In the runtime's namespace, after the process started.
        package var poststart: [Hook] = []
        /// In the runtime's namespace, after the container was deleted.
        package var poststop: [Hook] = []

        package init() {}

        package init(from reader: SpecReader) throws(OCISpecError) {
            prestart = try reader.values("prestart")
            createRuntime = try reader.values("createRuntime")
            createContainer = try reader.values("createContainer")
            startContainer = try reader.values("startContainer")
            poststart = try reader.values("poststart")
            poststop = try reader.values("poststop")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("prestart", prestart)
            writer.add("createRuntime", createRuntime)
            writer.add("createContainer", createContainer)
            writer.add("startContainer", startContainer)
            writer.add("poststart", poststart)
            writer.add("poststop", poststop)
        }
    }

    /// One program of ``Hooks``; it gets the container's state on its standard input.
    package struct Hook: SpecValue {
        /// Its absolute path.
        package var path: String
        /// Its arguments including `argv[0]`; the path alone if empty.
        package var args: [String]
        /// Its whole environment, `KEY=value`.
        package var env: [String]
        /// Seconds after which it is killed; nil waits for ever.
        package var timeout: Int?

        package init(path: String, args: [String] = [], env: [String] = [], timeout: Int? = nil) {
            self.path = path
            self.args = args
            self.env = env
            self.timeout = timeout
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            path = try reader.requiredString("path")
            args = try reader.strings("args")
            env = try reader.strings("env")
            timeout = try reader.integer("timeout")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("path", path)
            writer.add("args", args)
            writer.add("env", env)
            writer.add("timeout", timeout)
        }
    }
}
