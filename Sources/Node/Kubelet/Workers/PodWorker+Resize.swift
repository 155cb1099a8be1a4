// SPDX-License-Identifier: Apache-2.0

import PodRuntime

/// Changing the limits of what runs.
extension PodWorker {
    /// What the pod's own group is to allow.
    func groupLimits(of pod: Pod) -> PodLimits {
        let group = ResourceSettings.pod(pod)
        return PodLimits(
            cpuShares: group.cpuShares, cpuQuota: group.cpuQuota, memory: group.memoryLimit,
            processes: context.configuration.podProcessLimit)
    }

    /// Gives the pod's group and these containers' the limits that are granted.
    func resize(_ names: [String]) async {
        let pod = pod
        await context.qualityGroups.update(pod)
        var done: [String: ContainerLimits] = [:]
        do {
            let wanted = groupLimits(of: pod)
            // The pod grows before its containers, and shrinks after them (upstream: doPodResizeAction).
            var wide = wanted
            if let memory = wanted.memory {
                wide.memory = (context.runtime.sandbox(of: uid)?.limits.memory).map { max($0, memory) }
            }
            try await limitGroup(to: wide)
            for name in names {
                guard let container = pod.container(named: name), let instance = instance(of: name) else { continue }
                let limits = ResourceSettings.limits(of: container)
                try await context.runtime.updateContainer(instance.id, to: limits)
                done[name] = limits
            }
            try await limitGroup(to: wanted)
            mailbox.post(.resized(done))
        } catch is CancellationError {
            return
        } catch {
            mailbox.post(.resizeFailed("\(error)", done: done))
        }
    }

    private func limitGroup(to limits: PodLimits) async throws {
        if let changed = try await context.runtime.updateSandbox(of: uid, to: limits) { setSandbox(changed) }
    }
}
