// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The namespaces that a container creates and the ones that it joins.
struct NamespacePlan {
    /// Namespaces to create.
    private(set) var new: NamespaceKinds = []
    /// Open namespace files to join, in the order of the configuration; they stay open until the launcher ends.
    private(set) var joined: [(kind: NamespaceKinds, descriptor: CInt, path: String)] = []

    init(_ namespaces: [RuntimeSpec.Namespace]) throws(LauncherError) {
        var seen: NamespaceKinds = []
        for namespace in namespaces {
            let kind = Self.kind(of: namespace.type)
            guard seen.insert(kind).inserted else {
                throw LauncherError("linux.namespaces: \(namespace.type.rawValue) is given twice")
            }
            guard let path = namespace.path else {
                new.insert(kind)
                continue
            }
            do {
                joined.append((kind, try FileDescriptor.open(path, .read).release(), path))
            } catch {
                throw LauncherError("opening the \(namespace.type.rawValue) namespace", error)
            }
        }
    }

    static func kind(of type: RuntimeSpec.NamespaceType) -> NamespaceKinds {
        switch type {
        case .pid: .pid
        case .network: .network
        case .mount: .mount
        case .ipc: .ipc
        case .uts: .uts
        case .user: .user
        case .cgroup: .cgroup
        case .time: .time
        }
    }

    var joinsUser: Bool { joins(.user) }
    func joins(_ kind: NamespaceKinds) -> Bool { joined.contains { $0.kind == kind } }
    /// Whether the container has a namespace of this kind that is not the launcher's.
    func has(_ kind: NamespaceKinds) -> Bool { new.contains(kind) || joins(kind) }

    /// Whether a process between the launcher and the container is needed: a PID namespace has to belong to the user
    /// namespace that is joined, and a time namespace takes in only the children of the one who made it.
    var needsIntermediate: Bool { joinsUser || new.contains(.time) }

    /// Namespaces that clone(2) makes; the cgroup namespace has to wait until the process is in its cgroup.
    var atClone: NamespaceKinds { new.subtracting([.cgroup, .time]) }

    /// Joins the namespaces. Where the right to join one comes with the user namespace, it is joined after that.
    func joinAll() throws(LauncherError) {
        var postponed: [(kind: NamespaceKinds, descriptor: CInt, path: String)] = []
        for namespace in joined where namespace.kind != .user {
            do {
                try join(namespace)
            } catch {
                guard joinsUser, error.errno == Errno.EPERM else { throw LauncherError("joining a namespace", error) }
                postponed.append(namespace)
            }
        }
        do {
            for namespace in joined where namespace.kind == .user { try join(namespace) }
            for namespace in postponed { try join(namespace) }
        } catch {
            throw LauncherError("joining a namespace", error)
        }
    }

    /// Joins the PID namespace only, which counts for children.
    func joinPID() throws(LauncherError) {
        do {
            for namespace in joined where namespace.kind == .pid { try join(namespace) }
        } catch {
            throw LauncherError("joining a namespace", error)
        }
    }

    private func join(_ namespace: (kind: NamespaceKinds, descriptor: CInt, path: String)) throws(SystemError) {
        try Namespaces.join(namespace.descriptor, namespace.kind, namespace.path)
    }
}
