// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

@Suite struct PodWarningsTests {
    private static let pod = GroupVersionKind("", "v1", "Pod")
    private static let deployment = GroupVersionKind("apps", "v1", "Deployment")

    private static func object(name: String = "x", _ spec: JSON) -> JSON {
        ["metadata": ["name": .string(name)], "spec": spec]
    }

    private static let cases: [(spec: JSON, warning: String)] = [
        (
            ["nodeSelector": ["beta.kubernetes.io/arch": "arm64"]],
            ##"spec.nodeSelector[beta.kubernetes.io/arch]: deprecated since v1.14; use "kubernetes.io/arch" instead"##
        ),
        (
            ["containers": [["env": [["name": "A", "value": "1"], ["name": "A", "value": "2"]]]]],
            #"spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply"#
        ),
        (
            ["initContainers": [["resources": ["requests": ["memory": "512m"]]]]],
            """
            spec.initContainers[0].resources.requests[memory]: fractional byte value "512m" is invalid, must be an \
            integer
            """
        ),
        (
            [
                "containers": [
                    ["ports": [["containerPort": 80, "protocol": "TCP"], ["containerPort": 80, "protocol": "UDP"]]],
                    ["ports": [["containerPort": 80, "protocol": "TCP"]]],
                ]
            ], "spec.containers[1].ports[0]: duplicate port definition with spec.containers[0].ports[0]"
        ),
        (
            ["terminationGracePeriodSeconds": -1],
            """
            spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1
            """
        ),
    ]

    @Test(arguments: cases)
    func whatIsHardlyMeantIsTold(_ spec: JSON, _ warning: String) {
        #expect(ObjectRules.warnings(for: Self.object(spec), old: nil, kind: Self.pod) == [warning])
        // Of an object that is as it was there is nothing new to tell.
        #expect(ObjectRules.warnings(for: Self.object(spec), old: Self.object(spec), kind: Self.pod) == [])
        let template = Self.object(["template": ["spec": spec]])
        let nested = warning.replacing("spec.", with: "spec.template.spec.")
        #expect(ObjectRules.warnings(for: template, old: nil, kind: Self.deployment) == [nested])
    }

    @Test func aNameThatIsNoLabelMakesAPoorHostname() {
        let warnings = ObjectRules.warnings(for: Self.object(name: "a.b", [:]), old: nil, kind: Self.pod)
        #expect(
            warnings == [
                """
                metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS \
                label is recommended: [must not contain dots]
                """
            ])
        let update = ObjectRules.warnings(
            for: Self.object(name: "a.b", [:]), old: Self.object(name: "a.b", ["x": 1]), kind: Self.pod)
        #expect(update == [])
    }

    @Test func otherKindsHaveNone() {
        let object = Self.object(["terminationGracePeriodSeconds": -1])
        #expect(ObjectRules.warnings(for: object, old: nil, kind: .init("", "v1", "Service")) == [])
    }
}
