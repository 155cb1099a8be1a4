// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import JSON
import KubeAPI
import PodRuntime
import Testing

@testable import Kubelet

@Suite("Statuses, probes, admission and access")
struct StatusTests {
    @Test("a patch holds only what changed")
    func patch() {
        let old: JSON = ["phase": "Pending", "podIP": "10.1.0.2", "podIPs": [["ip": "10.1.0.2"]], "message": "x"]
        let new: JSON = ["phase": "Running", "podIP": "10.1.0.3", "podIPs": [["ip": "10.1.0.3"]]]
        #expect(StatusPublisher.patch(from: old, to: old) == nil)
        #expect(
            StatusPublisher.patch(from: old, to: new) == [
                "phase": "Running", "podIP": "10.1.0.3", "podIPs": [["$patch": "replace"], ["ip": "10.1.0.3"]],
                "message": .null,
            ])
    }

    @Test("conditions of others do not make ours look changed")
    func foreignConditions() {
        let mine: JSON = ["type": "Ready", "status": "True", "lastTransitionTime": "a"]
        let old: JSON = ["conditions": [mine, ["type": "example.org/gate", "status": "True"]]]
        #expect(StatusPublisher.patch(from: old, to: ["conditions": [mine]]) == nil)
        let changed: JSON = ["type": "Ready", "status": "False"]
        #expect(StatusPublisher.patch(from: old, to: ["conditions": [changed]]) == ["conditions": [changed]])
    }

    @Test("what a condition no longer has is taken away")
    func outdatedReasons() {
        let old: JSON = [
            "conditions": [["type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "c"]]
        ]
        let ready: JSON = ["type": "Ready", "status": "True"]
        #expect(
            StatusPublisher.patch(from: old, to: ["conditions": [ready]]) == [
                "conditions": [["type": "Ready", "status": "True", "reason": .null, "message": .null]]
            ])
    }

    @Test("redirects lead where RFC 3986 says")
    func redirects() {
        let from = HTTPGetAction(isSecure: false, host: "10.1.0.2", port: 8080, path: "/a/b?x=1", headers: [])
        for (location, expected) in [
            ("/bad", "http://10.1.0.2:8080/bad"), ("c?d", "http://10.1.0.2:8080/a/c?d"),
            ("?y", "http://10.1.0.2:8080/a/b?y"), ("https://10.1.0.2/s#part", "https://10.1.0.2:443/s"),
            ("http://[fd00::1]:81", "http://[fd00::1]:81/"), ("//other/x", "http://other:80/x"),
        ] {
            #expect(from.redirected(to: location)?.url == expected, "\(location)")
        }
        #expect(from.redirected(to: "") == nil && from.redirected(to: "http://:x/") == nil)
    }

    @Test("a pod that never got past its init containers shows what waits, and no sandbox before its volumes")
    func failedInitialisation() {
        var pod = MachineDriver([
            "restartPolicy": "Never", "initContainers": [["name": "i", "image": "i"], ["name": "j", "image": "i"]],
            "containers": [["name": "c", "image": "i"]],
        ])
        pod.handle(.sandboxReady(addresses: ["10.1.0.2"]))
        #expect(pod.condition("PodReadyToStartContainers")?["status"] == "False" && pod.status["podIP"] == nil)
        pod.handle(.volumesMounted)
        pod.launch("i")
        #expect(pod.condition("PodReadyToStartContainers")?["status"] == "True" && pod.status["podIP"] == "10.1.0.2")
        pod.exit("i", 1)
        #expect(pod.status["phase"] == "Failed")
        for name in ["c", "j"] {
            #expect(pod.container(name)?["state"]?["waiting"]?["reason"] == "PodInitializing", "\(name)")
        }
        #expect(pod.condition("Initialized")?["reason"] == "ContainersNotInitialized")
    }

    @Test("volumes that show labels or annotations are told from others")
    func metadataVolumes() {
        let labels: JSON = ["items": [["path": "l", "fieldRef": ["fieldPath": "metadata.labels['a']"]]]]
        #expect(PodVolumes.showsMetadata(["name": "v", "downwardAPI": labels]))
        #expect(PodVolumes.showsMetadata(["name": "v", "projected": ["sources": [["downwardAPI": labels]]]]))
        let name: JSON = ["items": [["path": "n", "fieldRef": ["fieldPath": "metadata.name"]]]]
        #expect(!PodVolumes.showsMetadata(["name": "v", "downwardAPI": name]))
        #expect(!PodVolumes.showsMetadata(["name": "v", "configMap": ["name": "m"]]))
    }

    @Test("thresholds of probes")
    func thresholds() {
        let timing = ProbeTiming(["failureThreshold": 3, "successThreshold": 2])
        var counter = ProbeCounter(timing, initially: true)
        #expect([false, false].map { counter.count($0) } == [false, false])
        #expect(counter.count(true) == false)
        #expect([false, false, false].map { counter.count($0) } == [false, false, true])
        #expect(counter.verdict == false)
        #expect([true, true].map { counter.count($0) } == [false, true])
        #expect(counter.verdict)
    }

    @Test("handlers of probes find named ports")
    func handlers() {
        let container = PodContainer(
            ["name": "c", "ports": [["name": "web", "containerPort": 8080]]], kind: .main, podPolicy: .always)
        let handler = ProbeHandler(
            ["httpGet": ["port": "web", "path": "/x"]], container: container, podAddress: "10.1.0.2")
        #expect(
            handler == .http(.init(isSecure: false, host: "10.1.0.2", port: 8080, path: "/x", headers: [])))
        #expect(
            ProbeHandler(["tcpSocket": ["port": "no"]], container: container, podAddress: "")
                == .invalid("couldn't find port: no in container c"))
    }

    @Test("gRPC health messages")
    func grpc() {
        #expect(GRPCHealthProber.request("") == [0, 0, 0, 0, 0])
        #expect(GRPCHealthProber.request("ab") == [0, 0, 0, 0, 4, 0x0a, 2, 97, 98])
        #expect(GRPCHealthProber.result([0, 0, 0, 0, 2, 8, 1], "").isSuccess)
        #expect(
            GRPCHealthProber.result([0, 0, 0, 0, 2, 8, 2], "").output
                == "service unhealthy (responded with \"NOT_SERVING\")")
        #expect(!GRPCHealthProber.result([], "").isSuccess)
    }

    private func admission(_ spec: JSON, others: [Pod] = []) -> PodRefusal? {
        var machine = MachineFacts()
        machine.cpus = 2
        machine.memory = 1 << 30
        let configuration = KubeletConfiguration(
            nodeName: "n", hostname: "n", addresses: [], stateDirectory: "", runDirectory: "", version: "v1.36.0",
            runtimeVersion: "0")
        return NodeAdmission(configuration: configuration, machine: machine)
            .refusal(of: MachineDriver.pod(spec), others: others)
    }

    @Test("the node refuses what it has no room for")
    func admissionChecks() {
        let big: JSON = ["containers": [["name": "c", "resources": ["requests": ["cpu": "1500m"]]]]]
        #expect(admission(big) == nil)
        let refusal = admission(big, others: [MachineDriver.pod(big)])
        #expect(refusal?.reason == "OutOfcpu")
        #expect(
            refusal?.message
                == "Node didn't have enough resource: cpu, requested: 1500, used: 1500, capacity: 2000"
        )
        let port: JSON = ["containers": [["name": "c", "ports": [["hostPort": 80]]]]]
        #expect(admission(port, others: [MachineDriver.pod(port)])?.reason == "NodePorts")
        let sysctl: JSON = ["securityContext": ["sysctls": [["name": "kernel.msgmax", "value": "1"]]]]
        #expect(admission(sysctl)?.reason == "SysctlForbidden")
        let safe: JSON = ["securityContext": ["sysctls": [["name": "net.ipv4.tcp_syncookies", "value": "1"]]]]
        #expect(admission(safe) == nil)
    }

    @Test("the node refuses pods for another operating system")
    func otherSystems() {
        let refusal = admission(["os": ["name": "windows"]])
        #expect(refusal?.reason == "PodOSNotSupported")
        #expect(
            refusal?.message == "Failed to admit pod as the OS field doesn't match node OS")
        #expect(admission(["os": ["name": "linux"]]) == nil)
    }

    @Test("the node refuses pods that ask for another node")
    func otherNodes() {
        var node = KubeObject(.init("", "v1", "Node"), name: "n1")
        node.metadata["labels"] = ["disk": "slow"]
        let refusal = { NodeAdmission.affinityRefusal(of: MachineDriver.pod($0), on: node) }
        let affinity = { (key: String, values: JSON, list: String) -> JSON in
            var term: JSON = [:]
            term[list] = [["key": .string(key), "operator": "In", "values": values]]
            return [
                "affinity": [
                    "nodeAffinity": ["requiredDuringSchedulingIgnoredDuringExecution": ["nodeSelectorTerms": [term]]]
                ]
            ]
        }
        #expect(refusal([:]) == nil)
        #expect(refusal(["nodeSelector": ["disk": "slow"]]) == nil)
        #expect(refusal(["nodeSelector": ["disk": "fast"]])?.reason == "NodeAffinity")
        #expect(
            refusal(["nodeSelector": ["other": ""]])?.message
                == "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector")
        #expect(refusal(affinity("disk", ["slow", "x"], "matchExpressions")) == nil)
        #expect(refusal(affinity("disk", ["fast"], "matchExpressions"))?.reason == "NodeAffinity")
        #expect(refusal(affinity("metadata.name", ["n1"], "matchFields")) == nil)
        #expect(refusal(affinity("metadata.name", ["n2"], "matchFields"))?.reason == "NodeAffinity")
    }

    @Test("quality of service by requests and limits")
    func qualityOfService() {
        let pod = { (resources: JSON) in
            MachineDriver.pod(["containers": [["name": "c", "resources": resources]]]).qosClass
        }
        #expect(pod([:]) == .bestEffort)
        #expect(pod(["requests": ["cpu": "1"]]) == .burstable)
        #expect(pod(["limits": ["cpu": "1", "memory": "1Gi"]]) == .guaranteed)
        #expect(pod(["limits": ["cpu": "1", "memory": "1Gi"], "requests": ["cpu": "500m"]]) == .burstable)
    }

    @Test("the groups of pods weigh what burstable pods request together, or next to nothing")
    func groupShares() {
        #expect(
            QualityGroups.shares(burstableRequests: [100, 250])
                == ["/kubepods/besteffort": 2, "/kubepods/burstable": 358])
        #expect(QualityGroups.shares(burstableRequests: [])["/kubepods/burstable"] == 2)
    }

    @Test("requests and limits become cgroup settings")
    func cgroupSettings() {
        let pod = MachineDriver.pod([
            "containers": [["name": "c", "resources": ["limits": ["cpu": "500m", "memory": "64Mi"]]]]
        ])
        let result = ResourceSettings.container(pod.containers[0], pod: pod, nodeMemory: 1 << 30)
        #expect(result.cpuShares == 512)
        #expect(result.cpuQuota == 50_000)
        #expect(result.memoryLimit == 64 << 20)
        #expect(result.oomScoreAdjustment == -997)
        #expect(ResourceSettings.pod(pod).parent == "/kubepods")
    }

    @Test("a pod's overhead is part of what its cgroup may use")
    func cgroupOverhead() {
        let limited: JSON = ["name": "c", "resources": ["limits": ["cpu": "500m", "memory": "64Mi"]]]
        let overhead: JSON = ["cpu": "500m", "memory": "16Mi"]
        let settings = ResourceSettings.pod(MachineDriver.pod(["containers": [limited], "overhead": overhead]))
        #expect(settings.cpuShares == 1024)
        #expect(settings.memoryLimit == 80 << 20)
        let unlimited = ResourceSettings.pod(MachineDriver.pod(["containers": [["name": "c"]], "overhead": overhead]))
        #expect(unlimited.cpuShares == 512)
        #expect(unlimited.memoryLimit == nil)
    }

    @Test("a refused pod tells why in its status, the event gives the reason alone")
    func refusal() {
        var machine = PodMachine(pod: MachineDriver.pod(["containers": [["name": "c"]]]), startTime: 0)
        let now = Moment(wallSeconds: 1, uptimeMilliseconds: 1)
        let actions = machine.reject(reason: "OutOfcpu", message: "no room", now: now)
        #expect(
            actions.contains(.event(isWarning: true, reason: "OutOfcpu", message: "no room", container: nil)))
        let status = PodStatusWriter(hostAddresses: []).status(of: machine, previous: [:], now: now)
        #expect(status["message"] == "Pod was rejected: no room")
        #expect(status["reason"] == "OutOfcpu")
    }

    @Test("periods are written as Go writes them")
    func periods() {
        let texts = [0, 10_000, 90_000, 3_600_000, 1500].map { ConfigurationDocument.text(milliseconds: $0) }
        #expect(texts == ["0s", "10s", "1m30s", "1h0m0s", "1.5s"])
    }

    @Test("what a pod states as a whole counts for its class, its group and the node")
    func wholePods() {
        let pod = { (resources: JSON) in
            MachineDriver.pod([
                "resources": resources, "containers": [["name": "c", "resources": ["requests": ["cpu": "10m"]]]],
            ])
        }
        let burstable = pod([
            "requests": ["cpu": "100m", "memory": "64Mi"], "limits": ["cpu": "200m", "memory": "64Mi"],
        ])
        #expect(burstable.qosClass == .burstable)
        #expect(burstable.request("cpu") == 100)
        let group = ResourceSettings.pod(burstable)
        #expect(group == ("/kubepods/burstable", 102, 20_000, 64 << 20))
        #expect(pod(["limits": ["cpu": "200m", "memory": "64Mi"]]).qosClass == .guaranteed)
        #expect(pod([:]).request("cpu") == 10)
        #expect(ResourceSettings.pod(pod([:])).cpuQuota == nil)
    }

    @Test("a pod's group has room for sidecars beside init and main containers")
    func sidecarResources() {
        func container(_ name: String, _ cpu: String, _ memory: String, sidecar: Bool = false) -> JSON {
            var result: JSON = [
                "name": .string(name),
                "resources": [
                    "requests": ["cpu": .string(cpu)], "limits": ["memory": .string(memory), "cpu": .string(cpu)],
                ],
            ]
            if sidecar { result["restartPolicy"] = "Always" }
            return result
        }
        // The init container runs beside the first sidecar only; the main container beside both.
        let initContainers: JSON = [
            container("s1", "100m", "10Mi", sidecar: true), container("i", "100m", "90Mi"),
            container("s2", "200m", "20Mi", sidecar: true),
        ]
        let settings = ResourceSettings.pod(
            MachineDriver.pod(["initContainers": initContainers, "containers": [container("c", "300m", "30Mi")]]))
        #expect(settings.memoryLimit == 100 << 20)
        #expect(settings.cpuShares == ResourceSettings.shares(milliCPU: 600))
        let unlimited: JSON = ["name": "s3", "restartPolicy": "Always"]
        let open = ResourceSettings.pod(
            MachineDriver.pod(["initContainers": [unlimited], "containers": [container("c", "300m", "30Mi")]]))
        #expect(open.memoryLimit == nil)
    }

    @Test("request targets are decoded")
    func targets() {
        let target = RequestTarget("/exec/ns/pod/c?command=sh&command=-c&command=echo%20a%2Bb&tty=true&x=1+2")
        #expect(target.path == ["exec", "ns", "pod", "c"])
        #expect(target.values("command") == ["sh", "-c", "echo a+b"])
        #expect(target.flag("tty") && !target.flag("stdin"))
        #expect(target.value("x") == "1 2")
    }

    @Test("pull secrets match registries by host and path, with wildcards")
    func registryKeys() {
        let secret = KubeObject([
            "data": [
                ".dockerconfigjson": .string(
                    "eyJhdXRocyI6eyIqLmV4YW1wbGUub3JnIjp7ImF1dGgiOiJkVHB3In0sInJlZy50ZXN0L3RlYW0iOnsidXNlcm5hbWUiOiJhIiwicGFzc3dvcmQiOiJiIn19fQ=="
                )
            ]
        ])
        let keys = RegistryKeys(secrets: [secret])
        #expect(keys.credentials(for: "reg.example.org/app").map(\.username) == ["u"])
        #expect(keys.credentials(for: "reg.test/team/app").map(\.password) == ["b"])
        #expect(keys.credentials(for: "reg.test/other").isEmpty)
        #expect(keys.credentials(for: "a.b.example.org/app").isEmpty)
    }

    @Test("the node's status changes only with more than the heartbeat")
    func nodeStatus() {
        var machine = MachineFacts()
        machine.cpus = 4
        machine.memory = 4 << 30
        machine.architecture = "arm64"
        let writer = NodeStatusWriter(
            nodeName: "n", addresses: ["192.0.2.1"], hostname: "n", port: 10250, machine: machine, version: "v1.36.0",
            runtimeVersion: "0.1", maxPods: 110, ephemeralStorage: 1 << 30)
        let first = writer.status(health: .init(), images: [], previous: .null, now: 1000)
        let second = writer.status(health: .init(), images: [], previous: first["conditions"] ?? .null, now: 2000)
        #expect(!NodeStatusWriter.isChanged(first, second))
        #expect(second["conditions"]?[3]?["lastTransitionTime"] == first["conditions"]?[3]?["lastTransitionTime"])
        var health = NodeStatusWriter.Health()
        health.runtimeProblem = "down"
        let third = writer.status(health: health, images: [], previous: second["conditions"] ?? .null, now: 3000)
        #expect(NodeStatusWriter.isChanged(second, third))
        #expect(third["conditions"]?[3]?["status"] == "False")
        #expect(first["capacity"]?["memory"] == "4194304Ki")
        #expect(first["nodeInfo"]?["containerRuntimeVersion"] == "swiftlet://0.1")
    }

    @Test("pods are told at most one of the node's addresses of each family")
    func hostAddresses() {
        for (addresses, told) in [
            (["192.0.2.1", "fd00::1", "192.0.2.2", "fd00::2"], ["192.0.2.1", "fd00::1"]),
            (["192.0.2.1", "192.0.2.2"], ["192.0.2.1"]), (["fd00::1", "192.0.2.1"], ["fd00::1", "192.0.2.1"]), ([], []),
        ] {
            #expect(NodeAddresses(addresses).hostAddresses == told)
        }
    }
}
