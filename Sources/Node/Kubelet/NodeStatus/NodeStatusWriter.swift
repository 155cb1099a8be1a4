// SPDX-License-Identifier: Apache-2.0

package import JSON
package import KubeAPI

/// Makes the Node object's labels and status; no I/O.
package struct NodeStatusWriter: Sendable {
    /// How the node is doing.
    package struct Health: Hashable, Sendable {
        /// Nil when the runtime is ready, else why it is not.
        package var runtimeProblem: String?
        package var hasMemoryPressure = false
        package var hasDiskPressure = false
        package var hasPIDPressure = false
        /// What is wrong with the machine, the worst first.
        package var hostProblems: [KubeletConfiguration.HostProblem] = []

        package init() {}
    }

    package var nodeName: String
    package var addresses: [String]
    package var hostname: String
    package var port: Int
    package var machine: MachineFacts
    package var version: String
    package var runtimeVersion: String
    package var maxPods: Int
    /// Bytes on the file system of the images and emptyDir volumes.
    package var ephemeralStorage: Int64
    /// What is kept back from pods.
    package var reservedMilliCPU: Int64 = 0
    /// Bytes.
    package var reservedMemory: Int64 = 0

    package init(
        nodeName: String, addresses: [String], hostname: String, port: Int, machine: MachineFacts, version: String,
        runtimeVersion: String, maxPods: Int, ephemeralStorage: Int64
    ) {
        self.nodeName = nodeName
        self.addresses = addresses
        self.hostname = hostname
        self.port = port
        self.machine = machine
        self.version = version
        self.runtimeVersion = runtimeVersion
        self.maxPods = maxPods
        self.ephemeralStorage = ephemeralStorage
    }

    /// The labels that every node has.
    package var labels: [String: String] {
        [
            "beta.kubernetes.io/arch": machine.architecture, "beta.kubernetes.io/os": "linux",
            "kubernetes.io/arch": machine.architecture, "kubernetes.io/hostname": hostname, "kubernetes.io/os": "linux",
        ]
    }

    private func amounts(cpu: String, memory: Int64, storage: Int64) -> JSON {
        [
            "cpu": .string(cpu), "ephemeral-storage": .string("\(storage / 1024)Ki"), "hugepages-1Gi": "0",
            "hugepages-2Mi": "0", "memory": .string("\(memory / 1024)Ki"), "pods": .string("\(maxPods)"),
        ]
    }

    package var capacity: JSON {
        amounts(cpu: "\(machine.cpus)", memory: machine.memory, storage: ephemeralStorage)
    }

    /// What pods may use: the capacity less what is reserved.
    package var allocatable: JSON {
        let cpu = Int64(machine.cpus) * 1000 - reservedMilliCPU
        return amounts(
            cpu: cpu % 1000 == 0 ? "\(cpu / 1000)" : "\(cpu)m", memory: machine.memory - reservedMemory,
            storage: ephemeralStorage)
    }

    /// Resources that somebody else has given the node, `example.com/dongle` say, from its capacity or what of it pods may use.
    ///
    /// - Parameter amounts: A list of the status of the Node object.
    package func extended(_ amounts: JSON?) -> [String: JSON] {
        let own = capacity
        let others = (amounts?.members ?? [:]).lazy.filter { own[$0.key] == nil }.map { ($0.key, $0.value) }
        return Dictionary(others) { first, _ in first }
    }

    /// Whether pods may use just what others have given the node, no less and no more.
    package func countsExtended(_ node: KubeObject) -> Bool {
        extended(node.status["capacity"]) == extended(node.status["allocatable"])
    }

    /// The whole status.
    ///
    /// - Parameters:
    ///   - images: The node's images, as the status lists them.
    ///   - previous: The conditions as last written, for their transition times.
    ///   - extended: What others have given the node.
    package func status(
        health: Health, images: JSON, previous: JSON, extended: [String: JSON] = [:], now: Int64
    ) -> JSON {
        var allocatable = allocatable
        for (name, amount) in extended { allocatable[name] = amount }
        return [
            "capacity": capacity, "allocatable": allocatable,
            "conditions": conditions(health, previous: previous, now: now),
            "addresses": .array(
                addresses.map { ["type": "InternalIP", "address": .string($0)] } + [
                    ["type": "Hostname", "address": .string(hostname)]
                ]),
            "daemonEndpoints": ["kubeletEndpoint": ["Port": JSON(port)]],
            "nodeInfo": [
                "machineID": .string(machine.machineID), "systemUUID": .string(machine.systemUUID),
                "bootID": .string(machine.bootID), "kernelVersion": .string(machine.kernelVersion),
                "osImage": .string(machine.osImage), "containerRuntimeVersion": .string("swiftlet://\(runtimeVersion)"),
                "kubeletVersion": .string(version), "kubeProxyVersion": "", "operatingSystem": "linux",
                "architecture": .string(machine.architecture), "swap": ["capacity": .int(machine.swap)],
            ],
            "images": images,
            "runtimeHandlers": RuntimeHandlers.status,
            "features": ["supplementalGroupsPolicy": true],
        ]
    }

    private func conditions(_ health: Health, previous: JSON, now: Int64) -> JSON {
        let list: [(String, Bool, String, String)] = [
            (
                "MemoryPressure", health.hasMemoryPressure,
                health.hasMemoryPressure ? "KubeletHasInsufficientMemory" : "KubeletHasSufficientMemory",
                health.hasMemoryPressure
                    ? "kubelet has insufficient memory available" : "kubelet has sufficient memory available"
            ),
            (
                "DiskPressure", health.hasDiskPressure,
                health.hasDiskPressure ? "KubeletHasDiskPressure" : "KubeletHasNoDiskPressure",
                health.hasDiskPressure ? "kubelet has disk pressure" : "kubelet has no disk pressure"
            ),
            (
                "PIDPressure", health.hasPIDPressure,
                health.hasPIDPressure ? "KubeletHasInsufficientPID" : "KubeletHasSufficientPID",
                health.hasPIDPressure
                    ? "kubelet has insufficient PID available" : "kubelet has sufficient PID available"
            ),
            (
                "Ready", health.runtimeProblem == nil,
                health.runtimeProblem == nil ? "KubeletReady" : "KubeletNotReady",
                health.runtimeProblem ?? "kubelet is posting ready status"
            ),
            // As node-problem-detector does: true means that there is a problem.
            (
                "HostProblem", !health.hostProblems.isEmpty, health.hostProblems.first?.reason ?? "NoHostProblem",
                health.hostProblems.isEmpty
                    ? "the machine has no known problem"
                    : health.hostProblems.map(\.message).joined(separator: "; ")
            ),
        ]
        return .array(
            list.map { type, isTrue, reason, message in
                let old = previous.elements.first { $0["type"]?.string == type }
                let status = isTrue ? "True" : "False"
                let since = old?["status"]?.string == status ? old?["lastTransitionTime"]?.string : nil
                return [
                    "type": .string(type), "status": .string(status),
                    "lastHeartbeatTime": .string(WallClock.text(now)),
                    "lastTransitionTime": .string(since ?? WallClock.text(now)), "reason": .string(reason),
                    "message": .string(message),
                ]
            })
    }

    /// A new Node object, as it is registered.
    package func node(health: Health, images: JSON, taints: [JSON], extraLabels: [String: String], now: Int64)
        -> KubeObject
    {
        var node = KubeObject(.init("", "v1", "Node"), name: nodeName)
        node.metadata["labels"] = JSON(labels.merging(extraLabels) { _, extra in extra })
        node.metadata["annotations"] = ["volumes.kubernetes.io/controller-managed-attach-detach": "true"]
        node.spec = taints.isEmpty ? [:] : ["taints": .array(taints)]
        node.status = status(health: health, images: images, previous: .null, now: now)
        return node
    }

    /// Whether two statuses differ in more than the heartbeat.
    package static func isChanged(_ old: JSON, _ new: JSON) -> Bool { withoutHeartbeat(old) != withoutHeartbeat(new) }

    private static func withoutHeartbeat(_ status: JSON) -> JSON {
        var status = status
        status["conditions"] = .array(
            (status["conditions"]?.elements ?? []).map { condition in
                var condition = condition
                condition["lastHeartbeatTime"] = nil
                return condition
            })
        return status
    }
}
