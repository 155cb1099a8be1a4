// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for the smaller kinds, and which kind has which rules.
extension Validator {
    /// What a ConfigMap or Secret may hold in all.
    private static let maximumDataBytes = 1 << 20

    /// The rules of a kind for its contents, on creation and on update.
    mutating func contents(_ object: JSON, _ kind: GroupVersionKind) {
        switch "\(kind.group)/\(kind.kind)" {
        case "/Pod": pod(object)
        case "/PodTemplate": podTemplate(object["template"] ?? [:], FieldPath("template"))
        case "/ReplicationController": replicationController(object)
        case "/Service": service(object)
        case "/Endpoints": endpoints(object)
        case "/ConfigMap": configMap(object)
        case "/Secret": secret(object)
        case "/Node": node(object)
        case "/PersistentVolume": persistentVolume(object)
        case "/PersistentVolumeClaim": claimSpec(object["spec"] ?? [:], FieldPath("spec"))
        case "/ResourceQuota": resourceQuota(object)
        case "/LimitRange": limitRange(object)
        case "apps/Deployment": deployment(object)
        case "apps/ReplicaSet": replicaSet(object)
        case "apps/StatefulSet": statefulSet(object)
        case "apps/DaemonSet": daemonSet(object)
        case "batch/Job": job(object)
        case "batch/CronJob": cronJob(object)
        case "discovery.k8s.io/EndpointSlice": endpointSlice(object)
        case "networking.k8s.io/Ingress": ingress(object)
        case "networking.k8s.io/NetworkPolicy": networkPolicy(object)
        case "networking.k8s.io/IPAddress": ipAddress(object)
        case "networking.k8s.io/ServiceCIDR": serviceRange(object)
        case "rbac.authorization.k8s.io/Role": role(object, isNamespaced: true)
        case "rbac.authorization.k8s.io/ClusterRole": role(object, isNamespaced: false)
        case "rbac.authorization.k8s.io/RoleBinding": roleBinding(object, isNamespaced: true)
        case "rbac.authorization.k8s.io/ClusterRoleBinding": roleBinding(object, isNamespaced: false)
        case "scheduling.k8s.io/PriorityClass": priorityClass(object)
        case "coordination.k8s.io/Lease": lease(object)
        case "policy/PodDisruptionBudget": disruptionBudget(object)
        case "autoscaling/HorizontalPodAutoscaler": autoscaler(object)
        case "storage.k8s.io/StorageClass": storageClass(object)
        case "admissionregistration.k8s.io/ValidatingAdmissionPolicy": admissionPolicy(object)
        case "admissionregistration.k8s.io/ValidatingAdmissionPolicyBinding": admissionPolicyBinding(object)
        case "apps/ControllerRevision": nonNegative(object, "revision", at: FieldPath())
        default: break
        }
    }

    /// The ranges of a node; where its two fields differ, the older one says what is meant (upstream's conversion).
    private static func ranges(_ node: JSON) -> [JSON] {
        let list = node["spec"]?.list("podCIDRs") ?? []
        let first = node["spec"]?.text("podCIDR") ?? ""
        return first.isEmpty || list.first?.string == first ? list : [.string(first)]
    }

    private mutating func nodeUpdate(_ new: JSON, _ old: JSON) {
        let spec = FieldPath("spec")
        let ranges = Self.ranges(old)
        if !ranges.isEmpty, Self.ranges(new) != ranges {
            let reason = "node updates may not change podCIDR except from \"\" to valid"
            add(.forbidden(spec.child("podCIDRs"), reason))
        }
        let provider = old["spec"]?.text("providerID") ?? ""
        if !provider.isEmpty, new["spec"]?.text("providerID") != provider {
            let reason = "node updates may not change providerID except from \"\" to valid"
            add(.forbidden(spec.child("providerID"), reason))
        }
    }

    /// The rules of a kind for what may not change.
    mutating func changes(_ new: JSON, _ old: JSON, _ kind: GroupVersionKind) {
        let spec = FieldPath("spec")
        switch "\(kind.group)/\(kind.kind)" {
        case "/Pod": podUpdate(new, old)
        case "/Service": serviceUpdate(new, old)
        case "/ConfigMap", "/Secret": frozenData(new, old)
        case "/PersistentVolume": persistentVolumeUpdate(new, old)
        case "/PersistentVolumeClaim": claimUpdate(new, old)
        case "/Node": nodeUpdate(new, old)
        case "apps/Deployment", "apps/ReplicaSet", "apps/DaemonSet":
            unchanged(new["spec"]?.value("selector"), old["spec"]?.value("selector"), spec.child("selector"))
        case "apps/StatefulSet": statefulSetUpdate(new, old)
        case "apps/ControllerRevision": unchanged(new["data"], old["data"], FieldPath("data"))
        case "batch/Job": jobUpdate(new, old)
        case "rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding":
            unchanged(new["roleRef"], old["roleRef"], FieldPath("roleRef"), "cannot change roleRef")
        case "scheduling.k8s.io/PriorityClass":
            for key in ["value", "preemptionPolicy"] where (new[key] ?? .null) != (old[key] ?? .null) {
                add(
                    .forbidden(
                        FieldPath(key), key == "value" ? "may not be changed in an update." : "field is immutable"))
            }
        case "storage.k8s.io/StorageClass":
            for key in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"]
            where (new[key] ?? .null) != (old[key] ?? .null) {
                let isForbidden = key == "parameters" || key == "provisioner"
                let reason = "updates to \(key) are forbidden."
                if isForbidden {
                    add(.forbidden(FieldPath(key), reason))
                } else {
                    unchanged(new[key], old[key], FieldPath(key))
                }
            }
        case "networking.k8s.io/IPAddress":
            unchanged(new["spec"]?["parentRef"], old["spec"]?["parentRef"], spec.child("parentRef"))
        case "networking.k8s.io/ServiceCIDR": serviceRangeUpdate(new, old)
        case "discovery.k8s.io/EndpointSlice":
            unchanged(new["addressType"], old["addressType"], FieldPath("addressType"))
        default: break
        }
    }

    // MARK: ConfigMap and Secret

    private mutating func configMap(_ object: JSON) {
        var size = 0
        for (key, value) in object["data"]?.members ?? [:] {
            add(NameSyntax.configKey(key), FieldPath("data").key(key), .string(key))
            if object["binaryData"]?[key] != nil {
                let reason = "duplicate of key present in binaryData"
                add(.invalid(FieldPath("data").key(key), .string(key), reason))
            }
            size += value.string?.utf8.count ?? 0
        }
        for (key, value) in object["binaryData"]?.members ?? [:] {
            add(NameSyntax.configKey(key), FieldPath("binaryData").key(key), .string(key))
            size += Base64.decodedCount(of: value.string ?? "")
        }
        if size > Self.maximumDataBytes { add(.tooLong(FieldPath(), maximum: Self.maximumDataBytes)) }
    }

    private static let requiredSecretKeys: [String: [String]] = [
        "kubernetes.io/dockercfg": [".dockercfg"], "kubernetes.io/dockerconfigjson": [".dockerconfigjson"],
        "kubernetes.io/ssh-auth": ["ssh-privatekey"], "kubernetes.io/tls": ["tls.crt", "tls.key"],
    ]

    private mutating func secret(_ object: JSON) {
        let data = object["data"]?.members ?? [:]
        var size = 0
        for (key, value) in data {
            add(NameSyntax.configKey(key), FieldPath("data").key(key), .string(key))
            size += Base64.decodedCount(of: value.string ?? "")
        }
        if size > Self.maximumDataBytes { add(.tooLong(FieldPath("data"), maximum: Self.maximumDataBytes)) }
        let type = object.text("type")
        for key in Self.requiredSecretKeys[type] ?? [] where !data.contains(key) {
            add(.required(FieldPath("data").key(key)))
        }
        if type == "kubernetes.io/basic-auth", !data.contains("username"), !data.contains("password") {
            add(.required(FieldPath("data").key("username")))
            add(.required(FieldPath("data").key("password")))
        }
        if type == "kubernetes.io/service-account-token",
            object["metadata"]?["annotations"]?["kubernetes.io/service-account.name"] == nil
        {
            let path = FieldPath("metadata").child("annotations").key("kubernetes.io/service-account.name")
            add(.required(path))
        }
    }

    private mutating func frozenData(_ new: JSON, _ old: JSON) {
        if old.text("type") != new.text("type") { unchanged(new["type"], old["type"], FieldPath("type")) }
        guard old["immutable"]?.bool == true else { return }
        if new["immutable"]?.bool != true {
            add(.forbidden(FieldPath("immutable"), "field is immutable when `immutable` is set"))
        }
        for key in ["data", "binaryData"] where (new.value(key) ?? .null) != (old.value(key) ?? .null) {
            add(.forbidden(FieldPath(key), "field is immutable when `immutable` is set"))
        }
    }

    // MARK: Others

    private mutating func node(_ object: JSON) {
        var seen: Set<String> = []
        for (index, taint) in (object["spec"]?.list("taints") ?? []).enumerated() {
            let path = FieldPath("spec").child("taints").index(index)
            text(taint, "key", path) { LabelSyntax.problems(inKey: $0) }
            add(LabelSyntax.problems(inValue: taint.text("value")), path.child("value"), .string(taint.text("value")))
            choice(taint, "effect", path, ["NoExecute", "NoSchedule", "PreferNoSchedule"])
            if !seen.insert("\(taint.text("key"))=\(taint.text("effect"))").inserted {
                add(.duplicate(path, taint))
            }
        }
        for (index, range) in (object["spec"]?.list("podCIDRs") ?? []).enumerated()
        where !AddressSyntax.isRange(range.string ?? "") {
            let reason = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
            add(.invalid(FieldPath("spec").child("podCIDRs").index(index), range, reason))
        }
    }

    private mutating func resourceQuota(_ object: JSON) {
        for (name, amount) in object["spec"]?["hard"]?.members ?? [:] {
            let path = FieldPath("spec").child("hard").key(name)
            add(LabelSyntax.problems(inKey: name), path, .string(name))
            if let quantity = Quantity(amount), quantity.isNegative {
                add(.invalid(path, amount, "must be greater than or equal to 0"))
            }
        }
    }

    private mutating func limitRange(_ object: JSON) {
        for (index, limit) in (object["spec"]?.list("limits") ?? []).enumerated() {
            let path = FieldPath("spec").child("limits").index(index)
            text(limit, "type", path) { LabelSyntax.problems(inKey: $0) }
            for (name, minimum) in limit["min"]?.members ?? [:] {
                guard let low = Quantity(minimum), let high = Quantity(limit["max"]?[name]), low > high else {
                    continue
                }
                let reason = "min value \(low) is greater than max value \(high)"
                add(.invalid(path.child("min").key(name), minimum, reason))
            }
            for (name, value) in limit["default"]?.members ?? [:] {
                guard let value = Quantity(value), let high = Quantity(limit["max"]?[name]), value > high else {
                    continue
                }
                let reason = "default value \(value) is greater than max value \(high)"
                add(.invalid(path.child("default").key(name), .string(value.description), reason))
            }
            for (name, value) in limit["defaultRequest"]?.members ?? [:] {
                guard let request = Quantity(value), let limit = Quantity(limit["default"]?[name]), request > limit
                else { continue }
                let reason = "default request value \(request) is greater than default limit value \(limit)"
                add(.invalid(path.child("defaultRequest").key(name), value, reason))
            }
        }
    }

    private mutating func priorityClass(_ object: JSON) {
        let name = object["metadata"]?.text("name") ?? ""
        let isSystem = name == "system-node-critical" || name == "system-cluster-critical"
        let value = object["value"]?.int ?? 0
        if name.hasPrefix("system-"), !isSystem {
            let reason =
                "priority class names with 'system-' prefix are reserved for system use only. error: "
                + "\(name) is not a known system priority class"
            add(.forbidden(FieldPath("metadata").child("name"), reason))
        } else if !isSystem, value > 1_000_000_000 {
            let reason = "maximum allowed value of a user defined priority is 1000000000"
            add(.forbidden(FieldPath("value"), reason))
        }
        choice(object, "preemptionPolicy", FieldPath(), ["Never", "PreemptLowerPriority"])
    }

    private mutating func lease(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        if let seconds = spec.value("leaseDurationSeconds")?.int, seconds <= 0 {
            let path = FieldPath("spec").child("leaseDurationSeconds")
            add(.invalid(path, JSON(seconds), "must be greater than 0"))
        }
        nonNegative(spec, "leaseTransitions", at: FieldPath("spec"))
    }

    private mutating func disruptionBudget(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        if spec.value("minAvailable") != nil, spec.value("maxUnavailable") != nil {
            add(.invalid(path, spec, "minAvailable and maxUnavailable cannot be both set"))
        }
        for key in ["minAvailable", "maxUnavailable"] { countOrPercent(spec[key], path.child(key), atMostAll: true) }
        labelSelector(spec["selector"], path.child("selector"))
    }

    private mutating func autoscaler(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        let minimum = spec["minReplicas"]?.int ?? 1
        let maximum = spec["maxReplicas"]?.int ?? 0
        if minimum < 1 {
            add(.invalid(path.child("minReplicas"), JSON(minimum), "must be greater than or equal to 1"))
        }
        if maximum < 1 { add(.invalid(path.child("maxReplicas"), JSON(maximum), "must be greater than 0")) }
        if maximum < minimum {
            let reason = "must be greater than or equal to `minReplicas`"
            add(.invalid(path.child("maxReplicas"), JSON(maximum), reason))
        }
        for key in ["kind", "name"] {
            text(spec["scaleTargetRef"] ?? [:], key, path.child("scaleTargetRef"), NameSyntax.pathSegment)
        }
    }

    private mutating func storageClass(_ object: JSON) {
        text(object, "provisioner", FieldPath()) { LabelSyntax.problems(inKey: $0.lowercased()) }
        choice(object, "reclaimPolicy", FieldPath(), ["Delete", "Retain"], optional: true)
        choice(object, "volumeBindingMode", FieldPath(), ["Immediate", "WaitForFirstConsumer"])
    }
}
