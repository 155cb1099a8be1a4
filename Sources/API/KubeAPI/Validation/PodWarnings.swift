// SPDX-License-Identifier: Apache-2.0

package import JSON

/// What is valid in a pod but hardly what was meant (`pkg/api/pod/warnings.go`).
struct PodWarnings {
    private(set) var texts: [String] = []

    /// Warnings beyond so many tell nobody more.
    private static let maximum = 64

    private static let labels: [(name: String, advice: String)] = [
        ("beta.kubernetes.io/arch", "deprecated since v1.14; use \"kubernetes.io/arch\" instead"),
        ("beta.kubernetes.io/os", "deprecated since v1.14; use \"kubernetes.io/os\" instead"),
        (
            "failure-domain.beta.kubernetes.io/region",
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        ),
        (
            "failure-domain.beta.kubernetes.io/zone",
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        ),
        (
            "beta.kubernetes.io/instance-type",
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        ),
    ]

    private mutating func add(_ path: FieldPath, _ text: String) {
        if texts.count < Self.maximum { texts.append("\(path): \(text)") }
    }

    /// A pod's name is its hostname.
    mutating func name(_ name: String) {
        let problems = NameSyntax.dns1123Label(name)
        if name.isEmpty || problems.isEmpty { return }
        add(
            FieldPath("metadata").child("name"),
            "this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: "
                + "[\(problems.joined(separator: " "))]")
    }

    mutating func spec(_ spec: JSON, _ path: FieldPath) {
        for (name, advice) in Self.labels where spec["nodeSelector"]?[name] != nil {
            add(path.child("nodeSelector").key(name), advice)
        }
        var ports: [JSON: FieldPath] = [:]
        for list in ["initContainers", "containers"] {
            for (index, container) in spec.list(list).enumerated() {
                let path = path.child(list).index(index)
                variables(container.list("env"), path.child("env"))
                resources(container["resources"] ?? [:], path.child("resources"))
                self.ports(container.list("ports"), path.child("ports"), &ports)
            }
        }
        if let seconds = spec["terminationGracePeriodSeconds"]?.int, seconds < 0 {
            let text = "must be >= 0; negative values are invalid and will be treated as 1"
            add(path.child("terminationGracePeriodSeconds"), text)
        }
    }

    private mutating func variables(_ variables: [JSON], _ path: FieldPath) {
        var names: Set<String> = []
        for (index, variable) in variables.enumerated() {
            let name = variable.text("name")
            if names.insert(name).inserted { continue }
            let quoted = JSON.string(name).text()
            add(path.index(index), "hides previous definition of \(quoted), which may be dropped when using apply")
        }
    }

    private mutating func resources(_ resources: JSON, _ path: FieldPath) {
        for list in ["limits", "requests"] {
            for name in ["memory", "ephemeral-storage"] {
                guard let value = resources[list]?[name], let quantity = Quantity(value), !quantity.isInteger else {
                    continue
                }
                let text = "fractional byte value \"\(quantity)\" is invalid, must be an integer"
                add(path.child(list).key(name), text)
            }
        }
    }

    private mutating func ports(_ ports: [JSON], _ path: FieldPath, _ seen: inout [JSON: FieldPath]) {
        for (index, port) in ports.enumerated() {
            let key: JSON = [
                "port": port["containerPort"] ?? 0, "protocol": .string(port.text("protocol")),
                "host": port["hostPort"] ?? 0, "ip": .string(port.text("hostIP")),
            ]
            if let first = seen[key] {
                add(path.index(index), "duplicate port definition with \(first)")
            } else {
                seen[key] = path.index(index)
            }
        }
    }
}

extension ObjectRules {
    /// Where kinds have the pods that they make.
    private static let templates: [String: [String]] = [
        "/PodTemplate": ["template"], "/ReplicationController": ["spec", "template"],
        "apps/Deployment": ["spec", "template"], "apps/ReplicaSet": ["spec", "template"],
        "apps/StatefulSet": ["spec", "template"], "apps/DaemonSet": ["spec", "template"],
        "batch/Job": ["spec", "template"], "batch/CronJob": ["spec", "jobTemplate", "spec", "template"],
    ]

    /// What a client is to be warned of that writes a valid object; nothing where only other things have changed.
    package static func warnings(for object: JSON, old: JSON?, kind: GroupVersionKind) -> [String] {
        let name = "\(kind.group)/\(kind.kind)"
        let path = name == "/Pod" ? [] : templates[name]
        guard let path else { return [] }
        func spec(_ object: JSON) -> JSON? {
            path.reduce(object as JSON?) { $0?[$1] }?["spec"]
        }
        guard let pod = spec(object), old.flatMap(spec) != pod else { return [] }
        var warnings = PodWarnings()
        if path.isEmpty, old == nil { warnings.name(object["metadata"]?.text("name") ?? "") }
        warnings.spec(pod, FieldPath((path + ["spec"]).joined(separator: ".")))
        return warnings.texts
    }
}
