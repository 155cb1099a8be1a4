// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import PodRuntime

/// What pods use, for `/stats/summary` and the metrics pages.
struct StatsSummary {
    private let context: KubeletContext
    private let director: PodDirector

    init(_ context: KubeletContext, _ director: PodDirector) {
        self.context = context
        self.director = director
    }

    private func usage(_ path: String) -> CgroupUsage { context.runtime.cgroups.usage(path) }

    private func cpu(_ usage: CgroupUsage, _ time: String) -> JSON {
        ["time": .string(time), "usageCoreNanoSeconds": .int(Int64(clamping: usage.cpuNanoseconds))]
    }

    private func memory(_ usage: CgroupUsage, _ time: String) -> JSON {
        [
            "time": .string(time), "usageBytes": .int(Int64(clamping: usage.memory)),
            "workingSetBytes": .int(Int64(clamping: usage.workingSet)),
            "rssBytes": .int(Int64(clamping: usage.resident)),
        ]
    }

    /// The running containers of a pod.
    private func records(_ worker: PodWorker) -> [ContainerRecord] {
        context.runtime.records(of: worker.uid).filter { $0.exit == nil }
    }

    var json: JSON {
        let time = WallClock.text(context.clock.now().wallSeconds)
        let node = usage("/")
        let pods = director.workers.compactMap { worker -> JSON? in
            guard let sandbox = worker.sandbox else { return nil }
            let whole = usage(sandbox.cgroupPath)
            let containers = records(worker).map { record -> JSON in
                let used = usage(record.cgroupPath)
                return [
                    "name": .string(record.name), "startTime": .string(WallClock.text(record.startedAt)),
                    "cpu": cpu(used, time), "memory": memory(used, time),
                ]
            }
            return [
                "podRef": [
                    "name": .string(worker.pod.name), "namespace": .string(worker.pod.namespace),
                    "uid": .string(worker.uid),
                ],
                "startTime": worker.status["startTime"] ?? .null, "containers": .array(containers),
                "cpu": cpu(whole, time), "memory": memory(whole, time),
                "process_stats": ["process_count": .int(Int64(clamping: whole.processes))],
            ]
        }
        return [
            "node": [
                "nodeName": .string(context.configuration.nodeName), "systemContainers": [],
                "startTime": .string(time), "cpu": cpu(node, time), "memory": memory(node, time),
            ],
            "pods": .array(pods),
        ]
    }

    /// Prometheus text with what every scraper of kubelets expects first.
    var metrics: String {
        let workers = director.workers
        let running = workers.filter { $0.status["phase"]?.string == "Running" }.count
        let containers = context.runtime.allRecords().filter { $0.exit == nil }.count
        return """
            # HELP kubelet_node_name [ALPHA] The node's name. The count is always 1.
            # TYPE kubelet_node_name gauge
            kubelet_node_name{node="\(context.configuration.nodeName)"} 1
            # HELP kubelet_running_containers [ALPHA] Number of containers currently running
            # TYPE kubelet_running_containers gauge
            kubelet_running_containers{container_state="running"} \(containers)
            # HELP kubelet_running_pods [ALPHA] Number of pods that have a running pod sandbox
            # TYPE kubelet_running_pods gauge
            kubelet_running_pods \(running)

            """
    }

    /// `/metrics/resource`: CPU and memory of node, pods and containers.
    var resourceMetrics: String {
        var cpu = "# TYPE container_cpu_usage_seconds_total counter\n"
        var memory = "# TYPE container_memory_working_set_bytes gauge\n"
        var podCPU = "# TYPE pod_cpu_usage_seconds_total counter\n"
        var podMemory = "# TYPE pod_memory_working_set_bytes gauge\n"
        for worker in director.workers {
            guard let sandbox = worker.sandbox else { continue }
            let pod = "namespace=\"\(worker.pod.namespace)\",pod=\"\(worker.pod.name)\""
            let whole = usage(sandbox.cgroupPath)
            podCPU += "pod_cpu_usage_seconds_total{\(pod)} \(seconds(whole))\n"
            podMemory += "pod_memory_working_set_bytes{\(pod)} \(whole.workingSet)\n"
            for record in records(worker) {
                let used = usage(record.cgroupPath)
                let labels = "container=\"\(record.name)\",\(pod)"
                cpu += "container_cpu_usage_seconds_total{\(labels)} \(seconds(used))\n"
                memory += "container_memory_working_set_bytes{\(labels)} \(used.workingSet)\n"
            }
        }
        let node = usage("/")
        return cpu + memory + podCPU + podMemory
            + "# TYPE node_cpu_usage_seconds_total counter\nnode_cpu_usage_seconds_total \(seconds(node))\n"
            + "# TYPE node_memory_working_set_bytes gauge\nnode_memory_working_set_bytes \(node.workingSet)\n"
    }

    private func seconds(_ usage: CgroupUsage) -> Double { Double(usage.cpuNanoseconds) / 1e9 }
}
