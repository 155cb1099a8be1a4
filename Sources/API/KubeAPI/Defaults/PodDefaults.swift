// SPDX-License-Identifier: Apache-2.0

import JSON

/// Defaults of pods and pod templates (`pkg/apis/core/v1/defaults.go`).
enum PodDefaults {
    static func pod(_ pod: inout JSON) {
        pod.changeOrCreate("spec") { spec in
            podSpec(&spec)
            for list in ["containers", "initContainers"] {
                spec.changeEach(list) { container in container.change("resources", requestsFromLimits) }
            }
            podLevelRequests(&spec)
            spec.setDefault("enableServiceLinks", true)
            if spec["hostNetwork"]?.bool == true {
                for list in ["containers", "initContainers"] { spec.changeEach(list, hostPorts) }
            }
        }
    }

    /// A `PodTemplateSpec`.
    static func template(_ template: inout JSON) { template.changeOrCreate("spec", podSpec) }

    private static func podSpec(_ spec: inout JSON) {
        spec.setTextDefault("dnsPolicy", "ClusterFirst")
        spec.setTextDefault("restartPolicy", "Always")
        spec.setDefault("securityContext", .object([:]))
        spec.setDefault("terminationGracePeriodSeconds", 30)
        spec.setTextDefault("schedulerName", "default-scheduler")
        mirrorServiceAccount(&spec)
        for list in ["containers", "initContainers", "ephemeralContainers"] { spec.changeEach(list, container) }
        spec.changeEach("volumes", volume)
        spec.change("resources", roundResources)
        spec.change("overhead", roundToMilli)
    }

    /// The deprecated name and the new one are one field inside upstream.
    private static func mirrorServiceAccount(_ spec: inout JSON) {
        let name =
            spec.text("serviceAccountName").isEmpty ? spec.text("serviceAccount") : spec.text("serviceAccountName")
        spec["serviceAccountName"] = name.isEmpty ? nil : .string(name)
        spec["serviceAccount"] = name.isEmpty ? nil : .string(name)
    }

    // MARK: Containers

    private static func container(_ container: inout JSON) {
        container.setTextDefault("imagePullPolicy", pullPolicy(of: container.text("image")))
        container.setTextDefault("terminationMessagePath", "/dev/termination-log")
        container.setTextDefault("terminationMessagePolicy", "File")
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] { container.change(name, probe) }
        container.change("lifecycle") { lifecycle in
            for name in ["postStart", "preStop"] { lifecycle.change(name) { $0.change("httpGet", httpGet) } }
        }
        container.changeEach("env") { variable in
            variable.change("valueFrom") { $0.change("fieldRef") { $0.setTextDefault("apiVersion", "v1") } }
        }
        container.change("resources", roundResources)
    }

    private static func probe(_ probe: inout JSON) {
        probe.setIntegerDefault("timeoutSeconds", 1)
        probe.setIntegerDefault("periodSeconds", 10)
        probe.setIntegerDefault("successThreshold", 1)
        probe.setIntegerDefault("failureThreshold", 3)
        probe.change("httpGet", httpGet)
    }

    private static func httpGet(_ action: inout JSON) {
        action.setTextDefault("path", "/")
        action.setTextDefault("scheme", "HTTP")
    }

    /// `Always` for the tag `latest`, which is also what no tag means; `IfNotPresent` for all else.
    static func pullPolicy(of image: String) -> String {
        let parts = image.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        let last = parts[0].split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        let name = last.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        if image.isEmpty || last.isEmpty { return "IfNotPresent" }
        let tag = name.count == 2 ? name[1] : parts.count == 1 ? "latest" : ""
        return tag == "latest" ? "Always" : "IfNotPresent"
    }

    private static func hostPorts(_ container: inout JSON) {
        container.changeEach("ports") { port in
            port.setIntegerDefault("hostPort", port["containerPort"]?.int ?? 0)
        }
    }

    // MARK: Resources

    private static func requestsFromLimits(_ resources: inout JSON) {
        let limits = resources["limits"]?.members ?? [:]
        if limits.isEmpty { return }
        resources.changeOrCreate("requests") { requests in
            for (name, limit) in limits { requests.setDefault(name, limit) }
        }
    }

    private static func roundResources(_ resources: inout JSON) {
        resources.change("limits", roundToMilli)
        resources.change("requests", roundToMilli)
    }

    /// Resource lists have no finer unit than a thousandth.
    static func roundToMilli(_ list: inout JSON) {
        for (name, value) in list.members {
            guard let quantity = Quantity(value), !quantity.isMilliInteger else { continue }
            list[name] = .string(Quantity(milli: quantity.milliValue, format: quantity.format).description)
        }
    }

    /// Requests of the pod as a whole follow from its limits and its containers' requests (KEP-2837).
    private static func podLevelRequests(_ spec: inout JSON) {
        let limits = spec["resources"]?["limits"]?.members ?? [:]
        if limits.isEmpty { return }
        var requests = spec["resources"]?["requests"]?.members ?? [:]
        for name in ["cpu", "memory"] where !requests.contains(name) {
            if let sum = containerRequests(of: name, in: spec) { requests[name] = .string(sum.description) }
        }
        for (name, limit) in limits where !requests.contains(name) {
            if name == "cpu" || name == "memory" || name.hasPrefix("hugepages-") { requests[name] = limit }
        }
        spec["resources", "requests"] = .object(requests)
    }

    /// What the containers request together: the larger of what runs at once and what an init container needs.
    private static func containerRequests(of name: String, in spec: JSON) -> Quantity? {
        let request = { (container: JSON) in Quantity(container["resources"]?["requests"]?[name]) }
        let main = spec.list("containers").compactMap(request)
        var sidecars = Quantity.zero
        var peak = Quantity.zero
        var isRequested = !main.isEmpty
        for container in spec.list("initContainers") {
            guard let quantity = request(container) else { continue }
            isRequested = true
            if container.text("restartPolicy") == "Always" { sidecars += quantity }
            let needed = container.text("restartPolicy") == "Always" ? sidecars : sidecars + quantity
            peak = max(peak, needed)
        }
        return isRequested ? max(main.reduce(.zero, +) + sidecars, peak) : nil
    }

    // MARK: Volumes

    private static func volume(_ volume: inout JSON) {
        if !volume.members.contains(where: { $0.key != "name" && !$0.value.isNull }) {
            volume["emptyDir"] = .object([:])
        }
        for source in ["secret", "configMap", "downwardAPI", "projected"] {
            volume.change(source) { $0.setDefault("defaultMode", 0o644) }
        }
        volume.change("downwardAPI", downwardItems)
        volume.change("projected") { projected in
            projected.changeEach("sources") { source in
                source.change("downwardAPI", downwardItems)
                source.change("serviceAccountToken") { $0.setDefault("expirationSeconds", 3600) }
            }
        }
        volume.change("hostPath") { $0.setDefault("type", "") }
        volume.change("image") { image in
            image.setTextDefault("pullPolicy", pullPolicy(of: image.text("reference")))
        }
        volume.change("ephemeral") { ephemeral in
            ephemeral.change("volumeClaimTemplate") { $0.change("spec", CoreDefaults.claimSpec) }
        }
    }

    private static func downwardItems(_ source: inout JSON) {
        source.changeEach("items") { $0.change("fieldRef") { $0.setTextDefault("apiVersion", "v1") } }
    }
}
