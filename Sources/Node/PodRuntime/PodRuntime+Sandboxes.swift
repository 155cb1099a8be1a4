// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import SandboxNetwork
import Synchronization

/// Making and removing sandboxes.
extension PodRuntime {
    /// Makes a pod's sandbox, or takes the one that is there.
    package func createSandbox(_ spec: SandboxSpec) async throws -> Sandbox {
        let sandbox = try await blocking { try self.makeSandbox(spec) }
        state.withLock { $0.sandboxes[spec.pod.uid] = sandbox }
        return sandbox
    }

    private func makeSandbox(_ spec: SandboxSpec) throws -> Sandbox {
        let directory = configuration.sandboxDirectory(spec.pod.uid)
        try Files.makeDirectories(directory, permissions: 0o711)
        let cgroup = cgroupPath(of: spec)
        let processes: Sandbox.ProcessNamespace =
            if spec.usesHostProcesses { .host } else if spec.sharesProcesses { .shared } else { .container }
        var sandbox = Sandbox(
            pod: spec.pod, hostname: spec.hostname, processNamespace: processes,
            sharedMemoryPath: spec.usesHostIPC ? "/dev/shm" : "\(directory)/shm", addresses: [], cgroupPath: cgroup,
            isUnified: cgroups.isUnified)
        sandbox.limits = PodLimits(
            cpuShares: spec.cpuShares, cpuQuota: spec.cpuQuota, memory: spec.memoryLimit,
            processes: configuration.podProcessLimit)
        // A scope begins with its first process.
        if PodScope(path: cgroup) == nil {
            try cgroups.makePodGroup(cgroup, sandbox.limits)
        }
        do {
            if !spec.usesHostIPC { try mountSharedMemory(sandbox.sharedMemoryPath) }
            try joinNamespaces(spec, directory, &sandbox)
            try write(sandbox)
        } catch {
            // Nobody would know of the group. One with processes belongs to a sandbox that was there before, and stays.
            if PodScope(path: cgroup) == nil { try? cgroups.remove(cgroup) }
            throw error
        }
        return sandbox
    }

    private func cgroupPath(of spec: SandboxSpec) -> String {
        switch configuration.cgroupDriver {
        case .cgroupfs: joined(configuration.cgroupRoot, "\(spec.cgroupParent)/pod\(spec.pod.uid)")
        case .systemd:
            PodScope.path(root: configuration.cgroupRoot, parent: spec.cgroupParent, uid: spec.pod.uid)
        }
    }

    func joined(_ root: String, _ path: String) -> String { root == "/" ? path : root + path }

    private func mountSharedMemory(_ path: String) throws {
        try Files.makeDirectories(path)
        if try MountInfo.current().contains(where: { $0.mountPoint == path }) { return }
        try Mounting.mount(
            "shm", at: path, type: "tmpfs", [.noSetUserID, .noDevices, .noExecute], data: "mode=1777,size=65536k")
    }

    private func joinNamespaces(_ spec: SandboxSpec, _ directory: String, _ sandbox: inout Sandbox) throws {
        if spec.usesHostNetwork {
            if spec.usesHostIPC { return }
            // The host's network and name, but message queues and shared memory of the pod's own.
            let pinned = PinnedNamespaces(directory: directory)
            if !pinned.exist { _ = try pinned.create(hostname: spec.hostname, parameters: []) }
            sandbox.ipcNamespace = pinned.ipcPath
            return
        }
        let mappings = spec.hostPorts.map { port in
            PortMapping(
                PortMapping.TransportProtocol(rawValue: port.transport.rawValue) ?? .tcp, hostPort: port.hostPort,
                sandboxPort: port.containerPort, hostAddress: IPAddress(port.hostAddress))
        }
        let attachment = try network.create(
            sandboxID: spec.pod.uid, hostname: spec.hostname, parameters: spec.sysctls, portMappings: mappings)
        sandbox.networkNamespace = attachment.namespaces.networkPath
        sandbox.utsNamespace = attachment.namespaces.utsPath
        if !spec.usesHostIPC { sandbox.ipcNamespace = attachment.namespaces.ipcPath }
        sandbox.addresses = attachment.addresses.map(\.description)
    }

    /// Removes a pod's sandbox; its containers have ended. One that does not exist is no error.
    package func removeSandbox(_ pod: PodIdentity) async throws {
        let known = state.withLock { $0.sandboxes[pod.uid] }
        for record in everyRecord(of: pod.uid) where record.exit == nil { await stopContainer(record.id, grace: 0) }
        try await blocking {
            try self.network.remove(sandboxID: pod.uid)
            let directory = self.configuration.sandboxDirectory(pod.uid)
            for mount in try MountInfo.current().map(\.mountPoint) where mount.hasPrefix("\(directory)/") {
                try Mounting.unmount(mount, detach: true)
            }
            try Files.removeTree(directory)
            if let known { try self.removeGroups(known, of: pod) }
        }
        state.withLock { _ = $0.sandboxes.removeValue(forKey: pod.uid) }
    }

    private func removeGroups(_ sandbox: Sandbox, of pod: PodIdentity) throws(SystemError) {
        // systemd removes what it made when the last monitor has ended, which may be now.
        if PodScope(path: sandbox.cgroupPath) != nil { return try Cgroups.current().remove(sandbox.cgroupPath) }
        // Killed processes leave their groups a moment after their exit is told.
        var attempts = 0
        while true {
            do {
                return try cgroups.remove(sandbox.cgroupPath)
            } catch {
                attempts += 1
                if error.errno != Errno.EBUSY || attempts == 20 { throw error }
                Processes.sleep(milliseconds: 10)
            }
        }
    }

    // MARK: On disk

    private func sandboxFile(_ uid: String) -> String { "\(configuration.sandboxDirectory(uid))/sandbox.json" }

    func write(_ sandbox: Sandbox) throws {
        try Files.replace(sandboxFile(sandbox.pod.uid), with: sandbox.json.serialized(), durable: false)
    }

    /// Reads the sandboxes that an earlier run made and that still stand.
    func loadSandboxes() throws -> [String: Sandbox] {
        var found: [String: Sandbox] = [:]
        for uid in try Files.names(in: "\(configuration.runDirectory)/sandboxes") {
            guard try Files.status(sandboxFile(uid)) != nil,
                let sandbox = Sandbox(json: try JSON.parse(Files.read(sandboxFile(uid))), isUnified: cgroups.isUnified)
            else { continue }
            // After a power cut the file may be there and the namespaces are not.
            if sandbox.networkNamespace != nil, network.adopt(sandboxID: uid) == nil { continue }
            if let path = sandbox.ipcNamespace, try !isNamespace(path) { continue }
            found[uid] = sandbox
        }
        return found
    }

    private func isNamespace(_ path: String) throws -> Bool {
        guard try Files.status(path) != nil else { return false }
        // NSFS_MAGIC: what is mounted over the file.
        return try Mounting.fileSystemType(of: path) == 0x6e73_6673
    }
}

extension Sandbox {
    var json: JSON {
        var result: JSON = [
            "uid": .string(pod.uid), "name": .string(pod.name), "namespace": .string(pod.namespace),
            "hostname": .string(hostname), "sharedMemory": .string(sharedMemoryPath), "addresses": JSON(addresses),
            "cgroup": .string(cgroupPath),
        ]
        if let shares = limits.cpuShares { result["cpuShares"] = .int(Int64(clamping: shares)) }
        if let quota = limits.cpuQuota { result["cpuQuota"] = .int(quota) }
        if let memory = limits.memory { result["memoryLimit"] = .int(memory) }
        if let processes = limits.processes { result["processLimit"] = .int(processes) }
        if let networkNamespace { result["network"] = .string(networkNamespace) }
        if let ipcNamespace { result["ipc"] = .string(ipcNamespace) }
        if let utsNamespace { result["uts"] = .string(utsNamespace) }
        switch processNamespace {
        case .container: break
        case .host: result["processes"] = "host"
        case .shared: result["processes"] = "shared"
        }
        return result
    }

    init?(json: JSON, isUnified: Bool) {
        guard let uid = json["uid"]?.string, let cgroup = json["cgroup"]?.string else { return nil }
        let processes: ProcessNamespace =
            switch json["processes"]?.string {
            case "host": .host
            case "shared": .shared
            default: .container
            }
        self.init(
            pod: PodIdentity(
                uid: uid, name: json["name"]?.string ?? "", namespace: json["namespace"]?.string ?? ""),
            hostname: json["hostname"]?.string ?? "", processNamespace: processes,
            sharedMemoryPath: json["sharedMemory"]?.string ?? "",
            addresses: (json["addresses"]?.elements ?? []).compactMap(\.string), cgroupPath: cgroup,
            isUnified: isUnified)
        limits = PodLimits(
            cpuShares: json["cpuShares"]?.int.flatMap { UInt64(exactly: $0) },
            cpuQuota: json["cpuQuota"]?.int.map(Int64.init), memory: json["memoryLimit"]?.int.map(Int64.init),
            processes: json["processLimit"]?.int.map(Int64.init))
        networkNamespace = json["network"]?.string
        ipcNamespace = json["ipc"]?.string
        utsNamespace = json["uts"]?.string
    }
}
