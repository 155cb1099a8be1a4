// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import Logging
import NIOCore
import PodRuntime

/// What the workers of all pods share.
struct KubeletContext: Sendable {
    let configuration: KubeletConfiguration
    let client: any ResourceClient
    let runtime: PodRuntime
    let images: ImageService
    let objects: ObjectCache
    let tokens: TokenSource
    let recorder: EventRecorder
    let services: Informer
    let machine: MachineFacts
    /// Bytes on the file system of pods' files.
    let ephemeralStorage: Int64
    let nursery: Nursery
    let qualityGroups: QualityGroups
    let shutdown: NodeShutdown
    let pressure: PressureWatch
    let eventLoops: any EventLoopGroup
    let clock: Clock
    let logger: Logger

    /// What a container without limits may use, for the downward API.
    var allocatable: [String: Int64] {
        [
            "cpu": Int64(machine.cpus) * 1000 - configuration.reservedMilliCPU,
            "memory": machine.memory - configuration.reservedMemory,
            "ephemeral-storage": ephemeralStorage / 1024 * 1024,
        ]
    }

    func nodeFacts(podAddresses: [String], of pod: Pod) -> FieldReference.NodeFacts {
        let hostAddresses = configuration.nodeAddresses.hostAddresses
        return FieldReference.NodeFacts(
            hostAddresses: hostAddresses, podAddresses: pod.hostNetwork ? hostAddresses : podAddresses,
            allocatable: allocatable)
    }

    func volumes(of pod: Pod, podAddresses: [String]) -> PodVolumes {
        PodVolumes(
            pod: pod, directory: configuration.podDirectory(pod.uid),
            volatileDirectory: configuration.volatilePodDirectory(pod.uid), client: client, objects: objects,
            tokens: tokens, clock: clock, node: nodeFacts(podAddresses: podAddresses, of: pod))
    }

    /// Records an event on a pod or one of its containers.
    func event(_ pod: Pod, isWarning: Bool, _ reason: String, _ message: String, container: String? = nil) {
        var path = ""
        if let container {
            let list =
                switch pod.container(named: container)?.kind {
                case .initial, .sidecar: "initContainers"
                case .main, nil: "containers"
                case .ephemeral: "ephemeralContainers"
                }
            path = "spec.\(list){\(container)}"
        }
        recorder.record(
            pod.object, isWarning ? .warning : .normal, reason: reason, message: message, fieldPath: path)
    }
}
