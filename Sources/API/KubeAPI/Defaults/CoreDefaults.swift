// SPDX-License-Identifier: Apache-2.0

import JSON

/// Defaults of the core group's other kinds (`pkg/apis/core/v1/defaults.go`).
enum CoreDefaults {
    static func service(_ service: inout JSON) {
        service.changeOrCreate("spec") { spec in
            spec.setTextDefault("sessionAffinity", "None")
            switch spec.text("sessionAffinity") {
            case "None": spec["sessionAffinityConfig"] = nil
            case "ClientIP":
                if spec["sessionAffinityConfig", "clientIP", "timeoutSeconds"]?.int == nil {
                    spec["sessionAffinityConfig"] = ["clientIP": ["timeoutSeconds": 10800]]
                }
            default: break
            }
            spec.setTextDefault("type", "ClusterIP")
            spec.changeEach("ports", servicePort)
            trafficPolicies(&spec)
        }
        guard service["spec"]?.text("type") == "LoadBalancer" else { return }
        service.change("status") { status in
            status.change("loadBalancer") { balancer in
                balancer.changeEach("ingress") { if !$0.text("ip").isEmpty { $0.setDefault("ipMode", "VIP") } }
            }
        }
    }

    private static func servicePort(_ port: inout JSON) {
        port.setTextDefault("protocol", "TCP")
        let target = port.value("targetPort")
        if target == nil || target == 0 || target == "" { port["targetPort"] = port["port"] }
    }

    private static func trafficPolicies(_ spec: inout JSON) {
        let type = spec.text("type")
        let isExternal =
            type == "LoadBalancer" || type == "NodePort"
            || (type == "ClusterIP" && !spec.list("externalIPs").isEmpty)
        if isExternal { spec.setTextDefault("externalTrafficPolicy", "Cluster") }
        if type != "ExternalName" { spec.setTextDefault("internalTrafficPolicy", "Cluster") }
        if type == "LoadBalancer" { spec.setDefault("allocateLoadBalancerNodePorts", true) }
    }

    /// `stringData` is write-only: it goes into `data`.
    static func secret(_ secret: inout JSON) {
        secret.setTextDefault("type", "Opaque")
        if let texts = secret.value("stringData")?.object {
            secret.changeOrCreate("data") { data in
                for (key, value) in texts { data[key] = .string(Base64.encode(value.string ?? "")) }
            }
        }
        secret["stringData"] = nil
    }

    static func namespace(_ namespace: inout JSON) {
        let name = namespace["metadata"]?.text("name") ?? ""
        if !name.isEmpty {
            namespace.changeOrCreate("metadata") { metadata in
                metadata.changeOrCreate("labels") { $0["kubernetes.io/metadata.name"] = .string(name) }
            }
        }
        namespace.changeOrCreate("status") { $0.setTextDefault("phase", "Active") }
    }

    static func node(_ node: inout JSON) {
        node.change("status") { status in
            if let capacity = status.value("capacity") { status.setDefault("allocatable", capacity) }
        }
    }

    static func persistentVolume(_ volume: inout JSON) {
        volume.changeOrCreate("status") { $0.setTextDefault("phase", "Pending") }
        volume.changeOrCreate("spec") { spec in
            spec.setTextDefault("persistentVolumeReclaimPolicy", "Retain")
            spec.setTextDefault("volumeMode", "Filesystem")
            spec.change("hostPath") { $0.setDefault("type", "") }
        }
    }

    static func persistentVolumeClaim(_ claim: inout JSON) {
        claim.changeOrCreate("status") { $0.setTextDefault("phase", "Pending") }
        claim.changeOrCreate("spec", claimSpec)
    }

    static func claimSpec(_ spec: inout JSON) { spec.setTextDefault("volumeMode", "Filesystem") }

    static func limitRange(_ range: inout JSON) {
        range.change("spec") { spec in
            spec.changeEach("limits") { limit in
                guard limit.text("type") == "Container" else { return }
                fill(&limit, "default", from: "max")
                fill(&limit, "defaultRequest", from: "default")
                fill(&limit, "defaultRequest", from: "min")
            }
        }
    }

    private static func fill(_ limit: inout JSON, _ key: String, from source: String) {
        let values = limit[source]?.members ?? [:]
        if values.isEmpty { return }
        limit.changeOrCreate(key) { target in
            for (name, value) in values { target.setDefault(name, value) }
        }
    }
}
