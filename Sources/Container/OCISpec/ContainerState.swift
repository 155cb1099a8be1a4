// SPDX-License-Identifier: Apache-2.0

/// What `state` prints and hooks read (OCI runtime-spec 1.2, runtime.md, "State").
package struct ContainerState: SpecValue {
    /// Where the container is in its life cycle; `paused` is an extension that runc and crun share.
    package enum Status: String, CaseIterable, Sendable {
        case creating, created, running, stopped, paused
    }

    package var ociVersion: String
    package var id: String
    package var status: Status
    /// The container's first process in the reader's PID namespace; nil when it is gone.
    package var pid: Int32?
    /// The absolute path of the bundle.
    package var bundle: String
    package var annotations: [String: String]

    package init(
        ociVersion: String = RuntimeSpec.currentVersion, id: String, status: Status, pid: Int32?, bundle: String,
        annotations: [String: String] = [:]
    ) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }

    package init(from reader: SpecReader) throws(OCISpecError) {
        ociVersion = try reader.requiredString("ociVersion")
        id = try reader.requiredString("id")
        status = try reader.requiredChoice("status")
        pid = try reader.integer("pid")
        if pid == 0 { pid = nil }
        bundle = try reader.requiredString("bundle")
        annotations = try reader.stringMap("annotations")
    }

    package func write(to writer: inout SpecWriter) {
        writer.add("ociVersion", ociVersion)
        writer.add("id", id)
        writer.add("status", status.rawValue)
        // Callers written in Go read an absent pid as 0; runc writes 0 for a stopped container too.
        writer.add("pid", pid ?? 0)
        writer.add("bundle", bundle)
        writer.add("annotations", annotations)
    }
}
