// SPDX-License-Identifier: Apache-2.0

package import JSON

/// The parts of a Pod that the scheduler and the controllers read.
package struct PodView: Sendable {
    package let object: KubeObject

    package init(_ object: KubeObject) { self.object = object }

    package var nodeName: String { object.json["spec"]?["nodeName"]?.string ?? "" }
    /// `Pending`, `Running`, `Succeeded`, `Failed` or `Unknown`.
    package var phase: String { object.json["status"]?["phase"]?.string ?? "" }
    /// The node that the scheduler has promised the pod and that it waits for; empty for none.
    package var nominatedNodeName: String { object.json["status"]?["nominatedNodeName"]?.string ?? "" }
    package var podIP: String { object.json["status"]?["podIP"]?.string ?? "" }
    package var hostNetwork: Bool { object.json["spec"]?["hostNetwork"]?.bool ?? false }
    package var priority: Int { object.json["spec"]?["priority"]?.int ?? 0 }
    /// Whether it may make others go, when it finds no node otherwise (`spec.preemptionPolicy`).
    package var mayPreempt: Bool { object.json["spec"]?["preemptionPolicy"]?.string != "Never" }
    package var containers: [JSON] { object.json["spec"]?["containers"]?.elements ?? [] }
    package var initContainers: [JSON] { object.json["spec"]?["initContainers"]?.elements ?? [] }
    package var tolerations: [JSON] { object.json["spec"]?["tolerations"]?.elements ?? [] }

    /// Whether all its containers have ended for good.
    package var isTerminal: Bool { phase == "Succeeded" || phase == "Failed" }
    /// Whether it counts as one of its owner's replicas.
    package var isActive: Bool { !isTerminal && !object.isBeingDeleted }
    package var isReady: Bool { object.condition("Ready")?.isTrue ?? false }
    /// When it became ready (RFC 3339), nil if it is not.
    package var readySince: String? {
        guard let ready = object.condition("Ready"), ready.isTrue else { return nil }
        return ready.lastTransitionTime
    }

    /// The highest restart count of its containers.
    package var restarts: Int {
        object.json["status"]?["containerStatuses"]?.elements.compactMap { $0["restartCount"]?.int }.max() ?? 0
    }
}
