// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for pods and pod templates (`pkg/apis/core/validation/validation.go`).
extension Validator {
    mutating func pod(_ pod: JSON) {
        podSpec(pod["spec"] ?? [:], FieldPath("spec"))
        for list in ["containers", "initContainers"] {
            for (index, container) in (pod["spec"]?.list(list) ?? []).enumerated() {
                let image = container.text("image")
                if image != image.trimmingSpaces {
                    let path = FieldPath("spec").child(list).index(index).child("image")
                    add(.invalid(path, .string(image), "must not have leading or trailing whitespace"))
                }
            }
        }
    }

    /// A `PodTemplateSpec`.
    mutating func podTemplate(_ template: JSON, _ path: FieldPath) {
        commonMetadata(template["metadata"] ?? [:], path.child("metadata"))
        podSpec(template["spec"] ?? [:], path.child("spec"))
        if !(template["spec"]?.list("ephemeralContainers") ?? []).isEmpty {
            let reason = "ephemeral containers not allowed in pod template"
            add(.forbidden(path.child("spec", "ephemeralContainers"), reason))
        }
    }

    private mutating func podSpec(_ spec: JSON, _ path: FieldPath) {
        let volumes = volumes(spec.list("volumes"), path.child("volumes"))
        containers(spec, volumes, path)
        choice(spec, "restartPolicy", path, ["Always", "OnFailure", "Never"])
        choice(spec, "dnsPolicy", path, ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"])
        labels(spec["nodeSelector"], path.child("nodeSelector"))
        podSecurityContext(spec, path.child("securityContext"))
        dnsConfig(spec, path.child("dnsConfig"))
        if let affinity = spec.value("affinity") { self.affinity(affinity, path.child("affinity")) }
        for (index, constraint) in spec.list("topologySpreadConstraints").enumerated() {
            topologySpread(constraint, path.child("topologySpreadConstraints").index(index))
        }
        podNames(spec, path)
        if let deadline = spec.value("activeDeadlineSeconds")?.int {
            let problems = NameSyntax.range(deadline, 1...Int(Int32.max))
            add(problems, path.child("activeDeadlineSeconds"), JSON(deadline))
        }
        nonNegative(spec, "terminationGracePeriodSeconds", at: path)
        for (index, toleration) in spec.list("tolerations").enumerated() {
            self.toleration(toleration, path.child("tolerations").index(index))
        }
        for (index, alias) in spec.list("hostAliases").enumerated() {
            hostAlias(alias, path.child("hostAliases").index(index))
        }
        for (index, gate) in spec.list("readinessGates").enumerated() {
            let type = gate.text("conditionType")
            let gatePath = path.child("readinessGates").index(index).child("conditionType")
            add(LabelSyntax.problems(inKey: type), gatePath, .string(type))
        }
        if let resources = spec.value("resources") {
            self.resources(resources, path.child("resources"))
            podResources(resources, spec, path)
        }
    }

    /// What a pod states as a whole, against its containers (upstream: validatePodResourceConsistency).
    private mutating func podResources(_ resources: JSON, _ spec: JSON, _ path: FieldPath) {
        for kind in ["limits", "requests"] {
            for name in (resources[kind]?.members ?? [:]).keys where !PodView.isOfWholePods(name) {
                let place = path.child("resources").child(kind).key(name)
                add(.unsupported(place, .string(name), ["cpu", "hugepages-", "memory"]))
            }
        }
        var pod = KubeObject(.init("", "v1", "Pod"), name: "")
        pod.spec = spec
        for (name, sum) in PodView(pod).containerRequests.sorted(by: { $0.key < $1.key }) {
            guard let own = Quantity(resources["requests"]?[name]), sum > own else { continue }
            let reason = "must be greater than or equal to aggregate container requests of \(sum)"
            add(.invalid(path.child("resources").child("requests").key(name), .string(own.description), reason))
        }
        for list in ["containers", "initContainers"] {
            for (index, container) in spec.list(list).enumerated() {
                for (name, limit) in container["resources"]?["limits"]?.members ?? [:] {
                    guard let own = Quantity(resources["limits"]?[name]), let limit = Quantity(limit), limit > own
                    else {
                        continue
                    }
                    let place = path.child(list).index(index).child("resources").child("limits").key(name)
                    let reason = "must be less than or equal to pod limits of \(own)"
                    add(.invalid(place, .string(limit.description), reason))
                }
            }
        }
    }

    private mutating func podNames(_ spec: JSON, _ path: FieldPath) {
        for key in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
            optionalText(spec, key, path, NameSyntax.dns1123Subdomain)
        }
        for key in ["hostname", "subdomain"] { optionalText(spec, key, path, NameSyntax.dns1123Label) }
        for (index, reference) in spec.list("imagePullSecrets").enumerated() where reference.text("name").isEmpty {
            add(.required(path.child("imagePullSecrets").index(index).child("name")))
        }
    }

    private mutating func podSecurityContext(_ spec: JSON, _ path: FieldPath) {
        guard let context = spec.value("securityContext") else { return }
        for key in ["runAsUser", "runAsGroup", "fsGroup"] {
            guard let id = context.value(key)?.int else { continue }
            add(NameSyntax.range(id, 0...Int(Int32.max)), path.child(key), JSON(id))
        }
        for (index, group) in context.list("supplementalGroups").enumerated() {
            let problems = NameSyntax.range(group.int ?? -1, 0...Int(Int32.max))
            add(problems, path.child("supplementalGroups").index(index), group)
        }
        if spec["shareProcessNamespace"]?.bool == true, spec["hostPID"]?.bool == true {
            let reason = "ShareProcessNamespace and HostPID cannot both be enabled"
            add(.invalid(path.child("shareProcessNamespace"), true, reason))
        }
        seccomp(context["seccompProfile"], path.child("seccompProfile"))
        sysctls(context.list("sysctls"), path.child("sysctls"))
    }

    private mutating func sysctls(_ list: [JSON], _ path: FieldPath) {
        var names: Set<String> = []
        for (index, sysctl) in list.enumerated() {
            let (name, field) = (sysctl.text("name"), path.index(index).child("name"))
            if name.isEmpty {
                add(.required(field))
            } else if !names.insert(name).inserted {
                add(.duplicate(field, .string(name)))
            } else {
                add(NameSyntax.sysctl(name), field, .string(name))
            }
        }
    }

    mutating func seccomp(_ json: JSON?, _ path: FieldPath) {
        guard let json, !json.isNull else { return }
        let profile = json.text("localhostProfile")
        choice(json, "type", path, ["Localhost", "RuntimeDefault", "Unconfined"])
        if json.text("type") == "Localhost" {
            if profile.isEmpty {
                add(.required(path.child("localhostProfile"), "must be set when seccomp type is Localhost"))
            }
        } else if !profile.isEmpty {
            let reason = "can only be set when seccomp type is Localhost"
            add(.invalid(path.child("localhostProfile"), .string(profile), reason))
        }
    }

    private mutating func dnsConfig(_ spec: JSON, _ path: FieldPath) {
        let config = spec.value("dnsConfig")
        if spec.text("dnsPolicy") == "None", (config?.list("nameservers") ?? []).isEmpty {
            if config == nil {
                add(.required(path, "must provide `dnsConfig` when `dnsPolicy` is None"))
            } else {
                let reason = "must provide at least one DNS nameserver when `dnsPolicy` is None"
                add(.required(path.child("nameservers"), reason))
            }
            return
        }
        guard let config else { return }
        let servers = config.list("nameservers")
        if servers.count > 3 {
            add(.invalid(path.child("nameservers"), .array(servers), "must not have more than 3 nameservers"))
        }
        for (index, server) in servers.enumerated() where !AddressSyntax.isAddress(server.string ?? "") {
            let reason = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            add(.invalid(path.child("nameservers").index(index), server, reason))
        }
        let searches = config.list("searches")
        if searches.count > 32 {
            add(.invalid(path.child("searches"), .array(searches), "must not have more than 32 search paths"))
        }
        for (index, search) in searches.enumerated() {
            var name = search.string ?? ""
            if name.hasSuffix(".") { name.removeLast() }
            // Underscores are allowed in search paths.
            let problems = NameSyntax.dns1123Subdomain(name.replacing("_", with: "a"))
            if name != "" { add(problems, path.child("searches").index(index), search) }
        }
        for (index, option) in config.list("options").enumerated() where option.text("name").isEmpty {
            add(.required(path.child("options").index(index), "must not be empty"))
        }
    }

    mutating func toleration(_ json: JSON, _ path: FieldPath) {
        let key = json.text("key")
        let operation = json.text("operator")
        if !key.isEmpty { add(LabelSyntax.problems(inKey: key), path.child("key"), .string(key)) }
        if key.isEmpty, operation != "Exists" {
            let reason = "operator must be Exists when `key` is empty, which means \"match all values and all keys\""
            add(.invalid(path.child("operator"), .string(operation), reason))
        }
        if json.value("tolerationSeconds") != nil, json.text("effect") != "NoExecute" {
            let reason = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            add(.invalid(path.child("effect"), .string(json.text("effect")), reason))
        }
        switch operation {
        case "", "Equal":
            let problems = LabelSyntax.problems(inValue: json.text("value")).joined(separator: ";")
            if !problems.isEmpty { add(.invalid(path.child("operator"), .string(json.text("value")), problems)) }
        case "Exists":
            if !json.text("value").isEmpty {
                add(.invalid(path.child("operator"), json, "value must be empty when `operator` is 'Exists'"))
            }
        default: add(.unsupported(path.child("operator"), .string(operation), ["Equal", "Exists"]))
        }
        choice(json, "effect", path, ["NoSchedule", "PreferNoSchedule", "NoExecute"], optional: true)
    }

    private mutating func hostAlias(_ alias: JSON, _ path: FieldPath) {
        if !AddressSyntax.isAddress(alias.text("ip")) {
            let reason = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            add(.invalid(path.child("ip"), .string(alias.text("ip")), reason))
        }
        for (index, name) in alias.list("hostnames").enumerated() {
            add(NameSyntax.dns1123Subdomain(name.string ?? ""), path.child("hostnames").index(index), name)
        }
    }

    private mutating func topologySpread(_ constraint: JSON, _ path: FieldPath) {
        let skew = constraint["maxSkew"]?.int ?? 0
        if skew <= 0 { add(.invalid(path.child("maxSkew"), JSON(skew), "must be greater than zero")) }
        if constraint.text("topologyKey").isEmpty {
            add(.required(path.child("topologyKey"), "can not be empty"))
        } else {
            text(constraint, "topologyKey", path) { LabelSyntax.problems(inKey: $0) }
        }
        choice(constraint, "whenUnsatisfiable", path, ["DoNotSchedule", "ScheduleAnyway"])
        labelSelector(constraint["labelSelector"], path.child("labelSelector"))
    }

    private mutating func affinity(_ affinity: JSON, _ path: FieldPath) {
        let required = "requiredDuringSchedulingIgnoredDuringExecution"
        let preferred = "preferredDuringSchedulingIgnoredDuringExecution"
        if let node = affinity.value("nodeAffinity") {
            let path = path.child("nodeAffinity")
            if let selector = node.value(required) { nodeSelector(selector, path.child(required)) }
            for (index, term) in node.list(preferred).enumerated() {
                let path = path.child(preferred).index(index)
                weight(term, path)
                nodeSelectorTerm(term["preference"] ?? [:], path.child("preference"))
            }
        }
        for kind in ["podAffinity", "podAntiAffinity"] {
            guard let rules = affinity.value(kind) else { continue }
            for (index, term) in rules.list(required).enumerated() {
                podAffinityTerm(term, path.child(kind, required).index(index))
            }
            for (index, term) in rules.list(preferred).enumerated() {
                let path = path.child(kind, preferred).index(index)
                weight(term, path)
                podAffinityTerm(term["podAffinityTerm"] ?? [:], path.child("podAffinityTerm"))
            }
        }
    }

    private mutating func weight(_ term: JSON, _ path: FieldPath) {
        let weight = term["weight"]?.int ?? 0
        if !(1...100).contains(weight) {
            add(.invalid(path.child("weight"), JSON(weight), "must be in the range 1-100"))
        }
    }

    mutating func nodeSelector(_ selector: JSON, _ path: FieldPath) {
        let terms = selector.list("nodeSelectorTerms")
        if terms.isEmpty {
            add(.required(path.child("nodeSelectorTerms"), "must have at least one node selector term"))
        }
        for (index, term) in terms.enumerated() {
            nodeSelectorTerm(term, path.child("nodeSelectorTerms").index(index))
        }
    }

    private mutating func nodeSelectorTerm(_ term: JSON, _ path: FieldPath) {
        for (index, requirement) in term.list("matchExpressions").enumerated() {
            let path = path.child("matchExpressions").index(index)
            let count = requirement.list("values").count
            switch requirement.text("operator") {
            case "In", "NotIn":
                if count == 0 {
                    add(.required(path.child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
                }
            case "Exists", "DoesNotExist":
                if count > 0 {
                    let reason = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                    add(.forbidden(path.child("values"), reason))
                }
            case "Gt", "Lt":
                if count != 1 {
                    let reason = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                    add(.required(path.child("values"), reason))
                }
            case let operation:
                add(.invalid(path.child("operator"), .string(operation), "not a valid selector operator"))
            }
            let key = requirement.text("key")
            add(LabelSyntax.problems(inKey: key), path.child("key"), .string(key))
        }
    }

    private mutating func podAffinityTerm(_ term: JSON, _ path: FieldPath) {
        labelSelector(term["labelSelector"], path.child("labelSelector"))
        labelSelector(term["namespaceSelector"], path.child("namespaceSelector"))
        for name in term.list("namespaces") {
            add(NameSyntax.dns1123Label(name.string ?? ""), path.child("namespace"), name)
        }
        if term.text("topologyKey").isEmpty {
            add(.required(path.child("topologyKey"), "can not be empty"))
        } else {
            text(term, "topologyKey", path) { LabelSyntax.problems(inKey: $0) }
        }
    }
}
