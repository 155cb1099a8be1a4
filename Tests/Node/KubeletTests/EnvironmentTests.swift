// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

@testable import Kubelet

@Suite("Container environment")
struct EnvironmentTests {
    @Test(
        "references expand as upstream's do",
        arguments: [
            ("$(A)", "1"), ("x$(A)y$(B)", "x1y2"), ("$$(A)", "$(A)"), ("$(NONE)", "$(NONE)"), ("$(A", "$(A"),
            ("$", "$"), ("$$", "$"), ("$A", "$A"), ("$$$(A)", "$1"), ("$(A)$(A)", "11"), ("$()", "$()"),
            ("ü$(A)ü", "ü1ü"),
        ])
    func expansion(text: String, result: String) {
        #expect(Expansion.expand(text) { ["A": "1", "B": "2"][$0] } == result)
    }

    static func make(
        _ container: JSON, pod metadata: JSON = [:], spec: JSON = [:],
        configure: (inout ContainerEnvironment.Sources) -> Void = { _ in }
    ) throws -> [String: String] {
        var whole = spec
        whole["containers"] = [container]
        let pod = MachineDriver.pod(whole, metadata: metadata)
        var sources = ContainerEnvironment.Sources()
        configure(&sources)
        let environment = ContainerEnvironment(
            pod: pod, container: pod.containers[0], sources: sources,
            node: .init(
                hostAddresses: ["192.0.2.1"], podAddresses: ["10.1.0.5"], allocatable: ["cpu": 2000, "memory": 1 << 30])
        )
        return Dictionary(uniqueKeysWithValues: try environment.variables().map { ($0.name, $0.value) })
    }

    @Test("later variables see earlier ones; envFrom comes before env")
    func order() throws {
        let result = try Self.make([
            "name": "c", "envFrom": [["prefix": "P_", "configMapRef": ["name": "m"]], ["secretRef": ["name": "s"]]],
            "env": [
                ["name": "X", "value": "$(P_a)-$(LATER)"], ["name": "LATER", "value": "l"],
                ["name": "pw", "value": "$(pw)!"],
                ["name": "K", "valueFrom": ["configMapKeyRef": ["name": "m", "key": "a"]]],
            ],
        ]) { sources in
            sources.configMaps["m"] = KubeObject(["metadata": ["name": "m"], "data": ["a": "1", "b=c": "no"]])
            sources.secrets["s"] = KubeObject(["metadata": ["name": "s"], "data": ["pw": "c2VjcmV0"]])
        }
        #expect(result == ["P_a": "1", "pw": "secret!", "X": "1-$(LATER)", "LATER": "l", "K": "1"])
    }

    @Test("missing references are upstream's errors unless they are optional")
    func missing() throws {
        let reference: JSON = [
            "name": "c", "env": [["name": "K", "valueFrom": ["configMapKeyRef": ["name": "m", "key": "a"]]]],
        ]
        #expect(throws: ConfigurationError("configmap \"m\" not found")) { try Self.make(reference) }
        #expect(throws: ConfigurationError("couldn't find key a in ConfigMap default/m")) {
            try Self.make(reference) { $0.configMaps["m"] = KubeObject(["metadata": ["name": "m"]]) }
        }
        let optional: JSON = [
            "name": "c", "envFrom": [["secretRef": ["name": "s", "optional": true]]],
            "env": [["name": "K", "valueFrom": ["configMapKeyRef": ["name": "m", "key": "a", "optional": true]]]],
        ]
        #expect(try Self.make(optional).isEmpty)
    }

    @Test("fields of the pod and its resources")
    func fields() throws {
        let field = { (name: String, path: String) -> JSON in
            ["name": .string(name), "valueFrom": ["fieldRef": ["fieldPath": .string(path)]]]
        }
        let result = try Self.make(
            [
                "name": "c", "resources": ["requests": ["cpu": "250m"], "limits": ["memory": "64Mi"]],
                "env": [
                    field("NAME", "metadata.name"), field("LABEL", "metadata.labels['app.kubernetes.io/name']"),
                    field("IP", "status.podIP"), field("HOST", "status.hostIP"),
                    ["name": "CPU", "valueFrom": ["resourceFieldRef": ["resource": "requests.cpu", "divisor": "1m"]]],
                    ["name": "CORES", "valueFrom": ["resourceFieldRef": ["resource": "limits.cpu"]]],
                    [
                        "name": "MEM",
                        "valueFrom": ["resourceFieldRef": ["resource": "limits.memory", "divisor": "1Mi"]],
                    ],
                ],
            ], pod: ["labels": ["app.kubernetes.io/name": "web"]])
        #expect(
            result == [
                "NAME": "p", "LABEL": "web", "IP": "10.1.0.5", "HOST": "192.0.2.1", "CPU": "250", "CORES": "2",
                "MEM": "64",
            ])
    }

    @Test("service links, and only the API's own service without them")
    func services() throws {
        let service = { (namespace: String, name: String, ip: String) in
            KubeObject([
                "metadata": ["name": .string(name), "namespace": .string(namespace)],
                "spec": ["clusterIP": .string(ip), "ports": [["name": "http", "port": 80, "protocol": "TCP"]]],
            ])
        }
        let all = [service("default", "kubernetes", "10.152.0.1"), service("default", "my-db", "10.152.0.7")]
        let linked = try Self.make(["name": "c"]) { $0.services = all }
        #expect(linked["MY_DB_SERVICE_HOST"] == "10.152.0.7")
        #expect(linked["MY_DB_SERVICE_PORT_HTTP"] == "80")
        #expect(linked["MY_DB_PORT"] == "tcp://10.152.0.7:80")
        #expect(linked["MY_DB_PORT_80_TCP_ADDR"] == "10.152.0.7")
        let alone = try Self.make(["name": "c"], spec: ["enableServiceLinks": false]) { $0.services = all }
        #expect(alone["KUBERNETES_SERVICE_HOST"] == "10.152.0.1")
        #expect(alone["MY_DB_SERVICE_HOST"] == nil)
    }

    @Test(
        "quantities are read exactly and rounded up",
        arguments: [
            ("100m", 100, 1), ("0.5", 500, 1), ("2", 2000, 2), ("1Gi", 1_073_741_824_000, 1_073_741_824),
            ("1.5Gi", 1_610_612_736_000, 1_610_612_736), ("1e3", 1_000_000, 1000),
            ("129M", 129_000_000_000, 129_000_000),
        ] as [(String, Int64, Int64)])
    func quantities(text: String, milli: Int64, units: Int64) {
        #expect(ResourceAmount.milli(.string(text)) == milli)
        #expect(ResourceAmount.units(.string(text)) == units)
    }

    @Test("times round-trip", arguments: [0, 1_767_225_600, 1_709_210_096, 951_782_400, -1] as [Int64])
    func times(seconds: Int64) {
        #expect(WallClock.seconds(WallClock.text(seconds)) == seconds)
    }

    @Test("times with fraction and offset are read, malformed ones refused")
    func timeForms() {
        #expect(WallClock.text(1_709_210_096) == "2024-02-29T12:34:56Z")
        #expect(WallClock.nanoseconds("2024-02-29T13:34:56.5+01:00") == 1_709_210_096_500_000_000)
        #expect(WallClock.text(microseconds: 1_709_210_096_000_042) == "2024-02-29T12:34:56.000042Z")
        for bad in ["", "2024-02-29", "2024-02-29T12:34:56", "2024-13-29T12:34:56Z", "2024-02-29T12:34:56.Z"] {
            #expect(WallClock.seconds(bad) == nil)
        }
    }
}
