// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import JSON
import KubeAPI
import NIOCore
import NIOHTTP1

/// What administrators look at: health, configuration, running pods and the machine's logs.
extension KubeletHandler {
    private static let readMethods: [HTTPMethod] = [.GET, .HEAD]

    func routeDebugging(_ request: HTTPRequest, _ path: [String]) async throws -> HTTPResponse {
        guard let first = path.first else { return Self.pageNotFound }
        switch (first, path.count) {
        // The server ends with the loops that it belongs to: while it answers, they run.
        case ("healthz", 2) where ["ping", "log", "syncloop"].contains(path[1]): return .text("ok")
        case ("configz", 1): return .json(["kubeletconfig": ConfigurationDocument(context.configuration).json])
        case ("runningpods", 1): return .json(runningPods)
        case ("logs", _):
            guard Self.readMethods.contains(request.method) else { return Self.methodNotAllowed }
            let isDirectoryPath = request.uri.prefix { $0 != "?" }.hasSuffix("/")
            return try await MachineLogs(root: "/var/log").answer(
                Array(path.dropFirst()), isDirectoryPath: isDirectoryPath)
        default: return Self.pageNotFound
        }
    }

    private static let pageNotFound = HTTPResponse.text("404 page not found", status: .notFound)
    private static let methodNotAllowed = HTTPResponse.text("405: Method Not Allowed", status: .methodNotAllowed)

    /// The pods of which a container runs, as the runtime knows them (upstream: kubecontainer.Pod.ToAPIPod).
    private var runningPods: JSON {
        let pods = director.workers.compactMap { worker -> JSON? in
            let pod = worker.pod
            let containers = pod.allContainers.compactMap { container -> JSON? in
                guard let instance = worker.instance(of: container.name), instance.exit == nil else { return nil }
                return ["name": .string(container.name), "image": .string(instance.image), "resources": [:]]
            }
            guard !containers.isEmpty else { return nil }
            return [
                "metadata": [
                    "name": .string(pod.name), "namespace": .string(pod.namespace), "uid": .string(pod.uid),
                ],
                "spec": ["containers": .array(containers)], "status": [:],
            ]
        }
        return ["kind": "PodList", "apiVersion": "v1", "metadata": [:], "items": .array(pods)]
    }
}

/// The configuration in the form of upstream's KubeletConfiguration (kubelet.config.k8s.io/v1beta1): of its fields, those that
/// there is something to say on.
struct ConfigurationDocument {
    private let configuration: KubeletConfiguration

    init(_ configuration: KubeletConfiguration) { self.configuration = configuration }

    var json: JSON {
        let shutdown = configuration.shutdownPeriods
        var result: JSON = [
            "enableServer": true, "address": .string(configuration.listenAddress), "port": JSON(configuration.port),
            "authentication": ["webhook": ["enabled": false], "anonymous": ["enabled": false]],
            "registerNode": .bool(configuration.registersNode), "clusterDomain": .string(configuration.clusterDomain),
            "clusterDNS": JSON(configuration.clusterDNS), "resolvConf": .string(configuration.resolverPath),
            "maxPods": JSON(configuration.maxPods), "podPidsLimit": .int(configuration.podProcessLimit ?? -1),
            "systemReserved": [
                "cpu": .string("\(configuration.reservedMilliCPU)m"),
                "memory": .string("\(configuration.reservedMemory)"),
            ],
            "shutdownGracePeriod": .string(Self.text(milliseconds: shutdown.total)),
            "shutdownGracePeriodCriticalPods": .string(Self.text(milliseconds: shutdown.critical)),
            "nodeStatusMaxImages": 50, "imageGCHighThresholdPercent": .int(Int64(ImageRetention.highPercent)),
            "imageGCLowThresholdPercent": .int(Int64(ImageRetention.lowPercent)),
            "imageMinimumGCAge": .string(Self.text(milliseconds: ImageRetention.minimumAge)),
            "evictionPressureTransitionPeriod": .string(Self.text(milliseconds: NodePressure.transitionPeriod)),
        ]
        if !configuration.taints.isEmpty { result["registerWithTaints"] = .array(configuration.taints) }
        if !configuration.allowedUnsafeSysctls.isEmpty {
            result["allowedUnsafeSysctls"] = JSON(configuration.allowedUnsafeSysctls)
        }
        return result
    }

    /// A period as Go writes it: `1h0m0s`, `1m30s`, `10s`, `1.5s`.
    static func text(milliseconds: Int64) -> String {
        let (hours, minutes) = (milliseconds / 3_600_000, milliseconds / 60_000 % 60)
        let (seconds, rest) = (milliseconds / 1000 % 60, milliseconds % 1000)
        var text = "\(seconds)"
        if rest > 0 {
            var fraction = String(String(1000 + rest).dropFirst())
            while fraction.hasSuffix("0") { fraction.removeLast() }
            text += ".\(fraction)"
        }
        text += "s"
        if hours > 0 { return "\(hours)h\(minutes)m\(text)" }
        return minutes > 0 ? "\(minutes)m\(text)" : text
    }
}
