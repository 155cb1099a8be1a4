// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// What a pod uses of something that runs out: bytes, inodes or processes.
package struct PodUse: Sendable {
    /// What one of its containers uses by itself.
    package struct ContainerUse: Sendable, Hashable {
        package var name: String
        package var used: Int64

        package init(name: String, used: Int64) {
            self.name = name
            self.used = used
        }
    }

    package var pod: Pod
    /// Nil where it is not known.
    package var used: Int64?
    package var containers: [ContainerUse]

    package init(pod: Pod, used: Int64?, containers: [ContainerUse] = []) {
        self.pod = pod
        self.used = used
        self.containers = containers
    }
}

/// Which pod goes first when something runs out, and what is said of it; no I/O (upstream: pkg/kubelet/eviction/helpers.go).
package enum EvictionRanking {
    /// The pods that may go, the first one first: those that use more than they request, then those of lower priority, then those
    /// that use the most beyond their requests. Of processes nobody requests any, and the priority comes first.
    package static func ranked(_ uses: [PodUse], by signal: PressureSignal) -> [PodUse] {
        uses.filter { !$0.pod.isCritical }.sorted { one, other in
            if signal != .processes {
                let (exceeds, others) = (exceedsRequest(one, signal), exceedsRequest(other, signal))
                if exceeds != others { return exceeds }
            }
            if one.pod.priority != other.pod.priority { return one.pod.priority < other.pod.priority }
            return excess(one, signal) > excess(other, signal)
        }
    }

    private static func requested(_ pod: Pod, _ signal: PressureSignal) -> Int64 {
        switch signal {
        case .memory, .nodeBytes, .imageBytes: pod.request(signal.resource)
        case .nodeInodes, .imageInodes, .processes: 0
        }
    }

    private static func exceedsRequest(_ use: PodUse, _ signal: PressureSignal) -> Bool {
        // One that nothing is known of goes before those that keep to what they said.
        use.used.map { $0 > requested(use.pod, signal) } ?? true
    }

    private static func excess(_ use: PodUse, _ signal: PressureSignal) -> Int64 {
        use.used.map { $0 - requested(use.pod, signal) } ?? .max
    }

    /// Why the pod goes, in upstream's words.
    package static func message(_ shortage: NodePressure.Shortage, _ use: PodUse) -> String {
        let resource = shortage.signal.resource
        var text =
            "The node was low on resource: \(resource). Threshold quantity: \(amount(shortage.threshold)), "
            + "available: \(amount(shortage.available)). "
        for container in use.containers {
            guard let spec = use.pod.container(named: container.name) else { continue }
            let request = spec.resources["requests"]?[resource]
            guard container.used > ResourceAmount.units(request) ?? 0 else { continue }
            text +=
                "Container \(container.name) was using \(amount(UInt64(clamping: container.used))), request is "
                + "\(request?.string ?? "0"), has larger consumption of \(resource). "
        }
        return text
    }

    private static func amount(_ value: UInt64) -> String {
        Quantity(Int(clamping: value), format: .binarySI).description
    }
}

extension Set<PressureCondition> {
    /// Why a node with these conditions does not take a pod; nil if it does (upstream: the eviction manager's Admit).
    func refusal(of pod: Pod) -> PodRefusal? {
        if isEmpty || pod.isCritical { return nil }
        if self == [.memory] {
            let taint = Taint(["key": "node.kubernetes.io/memory-pressure", "effect": "NoSchedule"])
            if pod.qosClass != .bestEffort || taint.isTolerated(by: pod.spec["tolerations"]?.elements ?? []) {
                return nil
            }
        }
        let names = map(\.rawValue).sorted().joined(separator: " ")
        return PodRefusal(reason: EvictionWords.reason, message: "The node had condition: [\(names)]. ")
    }
}
