// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import Logging
import NIOPosix
import PodRuntime

/// Volumes, files and the sandbox.
extension PodWorker {
    // MARK: Volumes

    func mountVolumes() async {
        do {
            let volumes = context.volumes(of: pod, podAddresses: addresses)
            let renewal = try await volumeGate.run { try await volumes.setUp() }
            mailbox.post(.volumesMounted)
            await withDiscardingTaskGroup { group in
                group.addTask { await self.keepVolumesFresh(renewal) }
                if let limited = volumes.limitedDirectories { group.addTask { await self.watchUsage(of: limited) } }
            }
        } catch is CancellationError {
            return
        } catch {
            mailbox.post(.volumesFailed("\(error)"))
        }
    }

    var addresses: [String] { sandbox?.addresses ?? [] }

    /// Writes tokens anew before they expire; it sleeps in between, for hours mostly.
    private func keepVolumesFresh(_ first: Int64?) async {
        var renewal = first
        while let time = renewal {
            let wait = max(10, time - context.clock.now().wallSeconds)
            do { try await Task.sleep(for: .seconds(wait)) } catch { return }
            if !hasVolumes { return }
            renewal = await refreshVolumes() ?? (context.clock.now().wallSeconds + 60)
        }
    }

    /// Takes in that an object, or the pod itself, says something else now; several changes may become one refresh.
    func volumesChanged() async {
        if claimRefresh() { await refreshVolumes() }
    }

    /// Brings volumes that are made from objects up to date; gives the time of the next renewal. Volumes that have been taken
    /// down stay so.
    @discardableResult
    private func refreshVolumes() async -> Int64? {
        await volumeGate.run {
            // From here on the objects are read: what changes later takes a refresh of its own.
            refreshBegins()
            guard hasVolumes else { return nil }
            do {
                return try await context.volumes(of: pod, podAddresses: addresses).refresh()
            } catch {
                if !(error is CancellationError) {
                    context.event(pod, isWarning: true, "FailedMount", "\(error)")
                }
                return nil
            }
        }
    }

    /// Evicts the pod when a volume holds more than it may (upstream: emptyDirLimitEviction).
    private func watchUsage(of directories: EmptyDirectoryUsage) async {
        while !Task.isCancelled {
            do {
                try await Task.sleep(for: EmptyDirectoryUsage.interval)
                guard let message = try await directories.excess() else { continue }
                context.event(pod, isWarning: true, EvictionWords.reason, message)
                mailbox.post(
                    .evicted(reason: EvictionWords.reason, message: message, grace: EvictionWords.immediateGrace))
                return
            } catch is CancellationError {
                return
            } catch {
                logger.warning("The use of a pod's volumes could not be read", metadata: ["error": "\(error)"])
            }
        }
    }

    func unmountVolumes() async {
        do {
            let volumes = context.volumes(of: pod, podAddresses: [])
            try await volumeGate.run { try await volumes.tearDown() }
        } catch {
            logger.warning("A pod's volumes could not be taken down", metadata: ["error": "\(error)"])
        }
        mailbox.post(.volumesRemoved)
    }

    // MARK: Sandbox

    func createSandbox() async {
        do {
            try await checkRuntimeClass()
            await context.qualityGroups.update(pod)
            let sandbox = try await context.runtime.createSandbox(sandboxSpec())
            setSandbox(sandbox)
            try await writeFiles(sandbox)
            mailbox.post(.sandboxReady(addresses: sandbox.addresses))
        } catch is CancellationError {
            return
        } catch {
            mailbox.post(.sandboxFailed("\(error)"))
        }
    }

    func removeSandbox() async {
        while !Task.isCancelled {
            do {
                try await context.runtime.removeSandbox(pod.identity)
                break
            } catch {
                logger.warning("A sandbox could not be removed", metadata: ["error": "\(error)"])
                // Cancellation is seen by the loop.
                try? await Task.sleep(for: .seconds(1))
            }
        }
        await context.qualityGroups.remove(uid: uid)
        mailbox.post(.sandboxRemoved)
    }

    private func sandboxSpec() throws -> SandboxSpec {
        let pod = pod
        if pod.wantsOwnUsers {
            // As upstream where the runtime has no user namespaces, which the Node object says.
            throw ConfigurationError("RuntimeClass handler \"\" does not support user namespaces")
        }
        var spec = SandboxSpec(pod: pod.identity, hostname: try hostname(of: pod))
        spec.usesHostNetwork = pod.hostNetwork
        spec.usesHostProcesses = pod.hostPID
        spec.usesHostIPC = pod.hostIPC
        spec.sharesProcesses = pod.sharesProcessNamespace
        spec.hostPorts = pod.hostNetwork ? [] : Self.hostPorts(of: pod)
        for sysctl in pod.securityContext["sysctls"]?.elements ?? [] {
            spec.sysctls[sysctl["name"]?.string ?? ""] = sysctl["value"]?.string ?? ""
        }
        let resources = ResourceSettings.pod(pod)
        spec.cgroupParent = resources.parent
        spec.cpuShares = resources.cpuShares
        spec.cpuQuota = resources.cpuQuota
        spec.memoryLimit = resources.memoryLimit
        return spec
    }

    private func hostname(of pod: Pod) throws -> String {
        if pod.hostNetwork { return context.configuration.hostname }
        guard pod.spec["setHostnameAsFQDN"]?.bool == true else { return pod.hostname }
        let name = PodFiles.qualifiedName(of: pod, domain: context.configuration.clusterDomain)
        // The kernel's limit (uname(2)).
        guard name.utf8.count <= 64 else {
            throw ConfigurationError(
                "failed to construct FQDN from pod hostname and cluster domain, FQDN \(name) is too long "
                    + "(64 characters is the max, \(name.utf8.count) characters requested)")
        }
        return name
    }

    static func hostPorts(of pod: Pod) -> [SandboxSpec.HostPort] {
        pod.allContainers.flatMap(\.ports).compactMap { port in
            guard let host = port["hostPort"]?.int.flatMap({ UInt16(exactly: $0) }), host > 0,
                let container = port["containerPort"]?.int.flatMap({ UInt16(exactly: $0) })
            else { return nil }
            let transport = SandboxSpec.HostPort.TransportProtocol(
                rawValue: (port["protocol"]?.string ?? "TCP").lowercased())
            return .init(
                transport: transport ?? .tcp, hostAddress: port["hostIP"]?.string ?? "", hostPort: host,
                containerPort: container)
        }
    }

    /// Writes the pod's hosts, resolv.conf and hostname files.
    private func writeFiles(_ sandbox: Sandbox) async throws {
        let (pod, configuration) = (pod, context.configuration)
        let directory = configuration.podDirectory(uid)
        try await NIOThreadPool.singleton.runIfActive {
            try Files.makeDirectories(directory, permissions: 0o755)
            let hosts: String
            if pod.hostNetwork {
                hosts = PodFiles.hosts(of: pod, hostFile: try Self.text(of: "/etc/hosts"))
            } else {
                hosts = PodFiles.hosts(of: pod, addresses: sandbox.addresses, domain: configuration.clusterDomain)
            }
            let resolver = ResolverConfiguration(
                pod: pod, host: try ResolverConfiguration.ofMachine(configuration, read: Self.text),
                clusterServers: configuration.clusterDNS, clusterDomain: configuration.clusterDomain)
            for (name, text) in [
                ("etc-hosts", hosts), ("resolv.conf", resolver.text), ("hostname", "\(sandbox.hostname)\n"),
            ] {
                try Files.replace("\(directory)/\(name)", with: Array(text.utf8), durable: false)
            }
        }
    }

    /// A file's text; empty where it does not exist.
    private static func text(of path: String) throws -> String {
        guard try Files.status(path) != nil else { return "" }
        return String(decoding: try Files.read(path, limit: 1 << 20), as: UTF8.self)
    }
}
