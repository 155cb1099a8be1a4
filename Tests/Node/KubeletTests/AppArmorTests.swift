// SPDX-License-Identifier: Apache-2.0

import JSON
import PodRuntime
import Testing

@testable import Kubelet

@Suite("AppArmor")
struct AppArmorTests {
    private static let localhost: JSON = ["appArmorProfile": ["type": "Localhost", "localhostProfile": "strict"]]
    private static let unconfined: JSON = ["appArmorProfile": ["type": "Unconfined"]]
    private static let runtimeDefault: JSON = ["appArmorProfile": ["type": "RuntimeDefault"]]

    private func pod(own: JSON = [:], shared: JSON = [:], annotation: String? = nil, phase: String = "Pending") -> Pod {
        var annotations: JSON = [:]
        if let annotation {
            annotations["container.apparmor.security.beta.kubernetes.io/c"] = .string(annotation)
        }
        return MachineDriver.pod(
            ["securityContext": shared, "containers": [["name": "c", "securityContext": own]]],
            metadata: ["annotations": annotations], status: ["phase": .string(phase)])
    }

    private func profile(of pod: Pod) throws -> String? {
        try SecuritySettings(seccompDirectory: "/none").container(pod.containers[0], pod: pod).appArmorProfile
    }

    @Test("a container's own profile goes before an annotation, and that before the pod's")
    func order() throws {
        #expect(try profile(of: pod(shared: Self.localhost)) == "strict")
        #expect(try profile(of: pod(own: Self.unconfined, shared: Self.localhost)) == nil)
        #expect(try profile(of: pod(shared: Self.localhost, annotation: "localhost/other")) == "other")
        #expect(try profile(of: pod(own: Self.localhost, annotation: "unconfined")) == "strict")
        #expect(try profile(of: pod(shared: Self.runtimeDefault)) == nil)
        #expect(try profile(of: pod()) == nil)
    }

    private func refusal(_ pod: Pod, hasAppArmor: Bool) -> PodRefusal? {
        let configuration = KubeletConfiguration(
            nodeName: "n", hostname: "n", addresses: [], stateDirectory: "", runDirectory: "", version: "v1.36.0",
            runtimeVersion: "0")
        var admission = NodeAdmission(configuration: configuration, machine: MachineFacts())
        admission.hasAppArmor = hasAppArmor
        return admission.refusal(of: pod, others: [])
    }

    @Test("a node without AppArmor refuses pods that ask for a profile, and no others")
    func refusals() {
        let message = "Cannot enforce AppArmor: AppArmor is not enabled on the host"
        let expected = PodRefusal(reason: "AppArmor", message: message)
        for wanting in [
            pod(own: Self.localhost), pod(shared: Self.runtimeDefault), pod(annotation: "localhost/strict"),
        ] {
            #expect(refusal(wanting, hasAppArmor: false) == expected)
            #expect(refusal(wanting, hasAppArmor: true) == nil)
        }
        for other in [pod(), pod(own: Self.unconfined), pod(own: Self.localhost, phase: "Running")] {
            #expect(refusal(other, hasAppArmor: false) == nil)
        }
        #expect(
            refusal(pod(annotation: "localhost/"), hasAppArmor: true)?.message
                == "Cannot enforce AppArmor: invalid empty AppArmor profile name")
    }
}
