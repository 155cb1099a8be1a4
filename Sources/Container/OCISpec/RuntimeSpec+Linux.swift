// SPDX-License-Identifier: Apache-2.0

import JSON

extension RuntimeSpec {
    /// What is particular to Linux (config-linux.md).
    package struct Linux: SpecValue {
        /// The namespaces to create or to join; the others are the runtime's own.
        package var namespaces: [Namespace] = []
        /// User ids of the container's user namespace.
        package var uidMappings: [IDMapping] = []
        /// Group ids of the container's user namespace.
        package var gidMappings: [IDMapping] = []
        /// Offsets of the time namespace's clocks by name (`monotonic`, `boottime`).
        package var timeOffsets: [String: TimeOffset] = [:]
        /// Device nodes to make beside the default ones.
        package var devices: [Device] = []
        /// The container's cgroup: absolute below the hierarchy's root, relative to the runtime's own, or (with the
        /// systemd driver) `slice:prefix:name`.
        package var cgroupsPath: String?
        /// Limits of the container's cgroup.
        package var resources: Resources?
        /// `shared`, `slave`, `private` or `unbindable`, with an `r` in front for the whole tree.
        package var rootfsPropagation: String?
        /// The system call filter.
        package var seccomp: Seccomp?
        /// Kernel parameters to set in the container's namespaces (`net.ipv4.ip_forward`).
        package var sysctl: [String: String] = [:]
        /// Paths that the container cannot read.
        package var maskedPaths: [String] = []
        /// Paths that the container cannot write.
        package var readonlyPaths: [String] = []
        /// The SELinux label of the container's mounts.
        package var mountLabel: String?
        /// The execution domain, `LINUX` or `LINUX32`.
        package var personality: Personality?

        package init() {}

        package init(from reader: SpecReader) throws(OCISpecError) {
            namespaces = try reader.values("namespaces")
            uidMappings = try reader.values("uidMappings")
            gidMappings = try reader.values("gidMappings")
            if case .object(let offsets)? = reader.object["timeOffsets"] {
                let inner = SpecReader(offsets, path: reader.path(of: "timeOffsets"))
                for clock in offsets.keys { timeOffsets[clock] = try inner.requiredValue(clock) }
            }
            devices = try reader.values("devices")
            cgroupsPath = try reader.string("cgroupsPath")
            resources = try reader.value("resources")
            rootfsPropagation = try reader.string("rootfsPropagation")
            seccomp = try reader.value("seccomp")
            sysctl = try reader.stringMap("sysctl")
            maskedPaths = try reader.strings("maskedPaths")
            readonlyPaths = try reader.strings("readonlyPaths")
            mountLabel = try reader.string("mountLabel")
            personality = try reader.value("personality")
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("uidMappings", uidMappings)
            writer.add("gidMappings", gidMappings)
            writer.add("sysctl", sysctl)
            writer.add("resources", resources)
            writer.add("cgroupsPath", cgroupsPath)
            writer.add("namespaces", namespaces)
            writer.add("devices", devices)
            writer.add("seccomp", seccomp)
            writer.add("rootfsPropagation", rootfsPropagation)
            writer.add("maskedPaths", maskedPaths)
            writer.add("readonlyPaths", readonlyPaths)
            writer.add("mountLabel", mountLabel)
            writer.add("personality", personality)
            writer.add("timeOffsets", map: timeOffsets)
        }
    }

    /// The kinds of namespaces(7).
    package enum NamespaceType: String, CaseIterable, Sendable {
        case pid, network, mount, ipc, uts, user, cgroup, time
    }

    /// A namespace to create, or to join when it has a path.
    package struct Namespace: SpecValue {
        package var type: NamespaceType
        /// An absolute path: `/proc/PID/ns/...` or a bind mount of such a file; nil creates a new one.
        package var path: String?

        package init(_ type: NamespaceType, path: String? = nil) {
            self.type = type
            self.path = path
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            type = try reader.requiredChoice("type")
            let path = try reader.string("path")
            self.path = path == "" ? nil : path
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("type", type.rawValue)
            writer.add("path", path)
        }
    }

    /// The offset of a clock in a time namespace (time_namespaces(7)).
    package struct TimeOffset: SpecValue {
        package var secs: Int64
        package var nanosecs: UInt32

        package init(secs: Int64, nanosecs: UInt32 = 0) {
            self.secs = secs
            self.nanosecs = nanosecs
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            secs = try reader.integer("secs") ?? 0
            nanosecs = try reader.integer("nanosecs") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("secs", secs)
            writer.add("nanosecs", nanosecs)
        }
    }

    /// A device node in the container.
    package struct Device: SpecValue {
        /// `c` or `u` (character), `b` (block) or `p` (FIFO).
        package var type: String
        /// The absolute path inside the container.
        package var path: String
        package var major: UInt32
        package var minor: UInt32
        /// Permission bits; nil is 0666.
        package var fileMode: UInt32?
        package var uid: UInt32
        package var gid: UInt32

        package init(
            type: String, path: String, major: UInt32 = 0, minor: UInt32 = 0, fileMode: UInt32? = nil, uid: UInt32 = 0,
            gid: UInt32 = 0
        ) {
            self.type = type
            self.path = path
            self.major = major
            self.minor = minor
            self.fileMode = fileMode
            self.uid = uid
            self.gid = gid
        }

        package init(from reader: SpecReader) throws(OCISpecError) {
            type = try reader.requiredString("type")
            guard ["c", "u", "b", "p"].contains(type) else {
                throw OCISpecError(
                    path: reader.path(of: "type"), reason: "unknown value \"\(type)\", expected one of c, u, b, p")
            }
            path = try reader.requiredString("path")
            major = try reader.integer("major") ?? 0
            minor = try reader.integer("minor") ?? 0
            fileMode = try reader.integer("fileMode")
            uid = try reader.integer("uid") ?? 0
            gid = try reader.integer("gid") ?? 0
        }

        package func write(to writer: inout SpecWriter) {
            writer.add("path", path)
            writer.add("type", type)
            if type != "p" {
                writer.add("major", major)
                writer.add("minor", minor)
            }
            writer.add("fileMode", fileMode)
            writer.add("uid", uid)
            writer.add("gid", gid)
        }
    }

    /// The execution domain (personality(2)).
    package struct Personality: SpecValue {
        /// `LINUX` or `LINUX32`.
        package var domain: String

        package init(domain: String) { self.domain = domain }

        package init(from reader: SpecReader) throws(OCISpecError) {
            domain = try reader.requiredString("domain")
        }

        package func write(to writer: inout SpecWriter) { writer.add("domain", domain) }
    }
}
