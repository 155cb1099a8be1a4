// SPDX-License-Identifier: Apache-2.0

package import OCISpec

/// What the launcher remembers of a container between its runs, `state.json` in the container's state directory.
package struct ContainerRecord: SpecValue {
    package var ociVersion: String
    package var id: String
    /// The absolute path of the bundle.
    package var bundle: String
    /// The absolute path of the root file system.
    package var rootfs: String
    /// When it was created, RFC 3339.
    package var created: String
    /// The container's first process; nil until it exists.
    package var pid: Int32?
    /// When that process started, in clock ticks since boot: its number may be used again.
    package var startTime: UInt64?
    /// The user who created it.
    package var owner: UInt32
    /// The container's cgroup below the hierarchies' roots; nil where it has none of its own.
    package var cgroup: String?
    package var annotations: [String: String]

    package init(id: String, bundle: String, rootfs: String, created: String, owner: UInt32) {
        ociVersion = RuntimeSpec.currentVersion
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.owner = owner
        annotations = [:]
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        ociVersion = try reader.requiredString("ociVersion")
        id = try reader.requiredString("id")
        bundle = try reader.requiredString("bundle")
        rootfs = try reader.requiredString("rootfs")
        created = try reader.requiredString("created")
        pid = try reader.integer("pid")
        startTime = try reader.integer("startTime")
        owner = try reader.integer("owner") ?? 0
        cgroup = try reader.string("cgroup")
        annotations = try reader.stringMap("annotations")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("ociVersion", ociVersion)
        writer.add("id", id)
        writer.add("bundle", bundle)
        writer.add("rootfs", rootfs)
        writer.add("created", created)
        writer.add("pid", pid)
        writer.add("startTime", startTime)
        writer.add("owner", owner)
        writer.add("cgroup", cgroup)
        writer.add("annotations", annotations)
    }
}
