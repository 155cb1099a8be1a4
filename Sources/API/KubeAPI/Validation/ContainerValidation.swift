// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for containers (`pkg/apis/core/validation/validation.go`).
extension Validator {
    private enum Role { case main, initial, ephemeral }

    /// All three lists of containers of a pod. `volumes` are the names of its valid volumes.
    mutating func containers(_ spec: JSON, _ volumes: Set<String>, _ path: FieldPath) {
        let main = spec.list("containers")
        if main.isEmpty { add(.required(path.child("containers"))) }
        var names: Set<String> = []
        var hostPorts: Set<String> = []
        for (index, container) in main.enumerated() {
            let path = path.child("containers").index(index)
            self.container(container, .main, volumes, &names, path)
            uniqueHostPorts(container, &hostPorts, path)
            if spec["hostNetwork"]?.bool == true { matchingHostPorts(container, path) }
        }
        for (index, container) in spec.list("initContainers").enumerated() {
            let path = path.child("initContainers").index(index)
            self.container(container, .initial, volumes, &names, path)
            var own: Set<String> = []
            uniqueHostPorts(container, &own, path)
            initialContainer(container, path)
        }
        for (index, container) in spec.list("ephemeralContainers").enumerated() {
            let path = path.child("ephemeralContainers").index(index)
            self.container(container, .ephemeral, volumes, &names, path)
            ephemeralContainer(container, path)
        }
    }

    private mutating func container(
        _ json: JSON, _ role: Role, _ volumes: Set<String>, _ names: inout Set<String>, _ path: FieldPath
    ) {
        text(json, "name", path, NameSyntax.dns1123Label)
        let name = json.text("name")
        if !name.isEmpty, !names.insert(name).inserted { add(.duplicate(path.child("name"), .string(name))) }
        if json.text("image").isEmpty { add(.required(path.child("image"))) }
        choice(json, "imagePullPolicy", path, ["Always", "IfNotPresent", "Never"])
        let policy = json.text("terminationMessagePolicy")
        if policy.isEmpty {
            add(.required(path.child("terminationMessagePolicy")))
        } else if policy != "File", policy != "FallbackToLogsOnError" {
            choice(json, "terminationMessagePolicy", path, ["FallbackToLogsOnError", "File"])
        }
        ports(json.list("ports"), path.child("ports"))
        for (index, variable) in json.list("env").enumerated() {
            environment(variable, path.child("env").index(index))
        }
        environmentSources(json.list("envFrom"), path.child("envFrom"))
        mounts(json, volumes, path)
        resources(json["resources"] ?? [:], path.child("resources"))
        securityContext(json["securityContext"], path.child("securityContext"))
        if role != .ephemeral { lifecycleAndProbes(json, path) }
    }

    private mutating func lifecycleAndProbes(_ json: JSON, _ path: FieldPath) {
        for name in ["postStart", "preStop"] {
            if let handler = json["lifecycle"]?.value(name) { self.handler(handler, path.child("lifecycle", name)) }
        }
        for name in ["livenessProbe", "startupProbe", "readinessProbe"] {
            guard let probe = json.value(name) else { continue }
            let path = path.child(name)
            handler(probe, path)
            nonNegative(
                probe, "initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold",
                "failureThreshold", at: path)
            if name == "readinessProbe" {
                if probe.value("terminationGracePeriodSeconds") != nil {
                    let value = probe["terminationGracePeriodSeconds"] ?? .null
                    let reason = "must not be set for readinessProbes"
                    add(.invalid(path.child("terminationGracePeriodSeconds"), value, reason))
                }
                continue
            }
            if let threshold = probe["successThreshold"], threshold != 1 {
                add(.invalid(path.child("successThreshold"), threshold, "must be 1"))
            }
            if let period = probe.value("terminationGracePeriodSeconds")?.int, period <= 0 {
                let place = path.child("terminationGracePeriodSeconds")
                add(.invalid(place, JSON(period), "must be greater than 0"))
            }
        }
    }

    private mutating func initialContainer(_ json: JSON, _ path: FieldPath) {
        let policy = json.text("restartPolicy")
        if policy == "Always" { return }
        let reason = "may not be set for init containers without restartPolicy=Always"
        for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] where json.value(name) != nil {
            add(.forbidden(path.child(name), reason))
        }
        choice(json, "restartPolicy", path, ["Always", "Never", "OnFailure"], optional: true)
    }

    private mutating func ephemeralContainer(_ json: JSON, _ path: FieldPath) {
        for name in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe", "ports", "resources"] {
            guard let value = json.value(name), value != .object([:]) else { continue }
            add(.forbidden(path.child(name), "cannot be set for an Ephemeral Container"))
        }
        for (index, mount) in json.list("volumeMounts").enumerated() {
            for name in ["subPath", "subPathExpr"] where !mount.text(name).isEmpty {
                let place = path.child("volumeMounts").index(index).child(name)
                add(.forbidden(place, "cannot be set for an Ephemeral Container"))
            }
        }
    }

    // MARK: Ports

    private mutating func ports(_ ports: [JSON], _ path: FieldPath) {
        var names: Set<String> = []
        for (index, port) in ports.enumerated() {
            let path = path.index(index)
            let name = port.text("name")
            if !name.isEmpty {
                let problems = NameSyntax.portName(name)
                add(problems, path.child("name"), .string(name))
                if problems.isEmpty, !names.insert(name).inserted {
                    add(.duplicate(path.child("name"), .string(name)))
                }
            }
            let number = port["containerPort"]?.int ?? 0
            if number == 0 {
                add(.required(path.child("containerPort")))
            } else {
                add(NameSyntax.port(number), path.child("containerPort"), JSON(number))
            }
            if let host = port["hostPort"]?.int, host != 0 {
                add(NameSyntax.port(host), path.child("hostPort"), JSON(host))
            }
            choice(port, "protocol", path, ["SCTP", "TCP", "UDP"])
        }
    }

    private mutating func uniqueHostPorts(_ container: JSON, _ taken: inout Set<String>, _ path: FieldPath) {
        for (index, port) in container.list("ports").enumerated() {
            guard let number = port["hostPort"]?.int, number != 0 else { continue }
            let key = "\(port.text("protocol"))/\(port.text("hostIP"))/\(number)"
            if !taken.insert(key).inserted {
                add(.duplicate(path.child("ports").index(index).child("hostPort"), .string(key)))
            }
        }
    }

    private mutating func matchingHostPorts(_ container: JSON, _ path: FieldPath) {
        for (index, port) in container.list("ports").enumerated() {
            guard let host = port["hostPort"]?.int, host != port["containerPort"]?.int else { continue }
            let place = path.child("ports").index(index).child("hostPort")
            add(.invalid(place, JSON(host), "must match `containerPort` when `hostNetwork` is true"))
        }
    }

    // MARK: Environment

    private mutating func environment(_ variable: JSON, _ path: FieldPath) {
        text(variable, "name", path, NameSyntax.environmentName)
        guard let source = variable.value("valueFrom") else { return }
        let path = path.child("valueFrom")
        let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"]
        let present = kinds.filter { source.value($0) != nil }
        for kind in ["configMapKeyRef", "secretKeyRef"] {
            guard let reference = source.value(kind) else { continue }
            text(reference, "key", path.child(kind), NameSyntax.configKey)
        }
        if let reference = source.value("fieldRef") { fieldReference(reference, path.child("fieldRef")) }
        if let reference = source.value("resourceFieldRef") {
            resourceReference(reference, path.child("resourceFieldRef"))
        }
        if present.isEmpty {
            let names = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
            add(.invalid(path, "", names + "`fileKeyRef`"))
        } else if !variable.text("value").isEmpty {
            add(.invalid(path, "", "may not be specified when `value` is not empty"))
        } else if present.count > 1 {
            add(.invalid(path, "", "may not have more than one field specified at a time"))
        }
    }

    private static let environmentFields = [
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
    ]

    private mutating func fieldReference(_ reference: JSON, _ path: FieldPath) {
        if reference.text("apiVersion").isEmpty { add(.required(path.child("apiVersion"))) }
        let field = reference.text("fieldPath")
        if field.isEmpty {
            add(.required(path.child("fieldPath")))
        } else if field.hasPrefix("metadata.annotations['") || field.hasPrefix("metadata.labels['") {
            return
        } else if !Self.environmentFields.contains(field) {
            if field == "metadata.labels" || field == "metadata.annotations" || field.hasPrefix("metadata.")
                || field.hasPrefix("spec.") || field.hasPrefix("status.")
            {
                add(.unsupported(path.child("fieldPath"), .string(field), Self.environmentFields))
            } else {
                let reason = "error converting fieldPath: field label not supported: \(field)"
                add(.invalid(path.child("fieldPath"), .string(field), reason))
            }
        }
    }

    private static let referableResources = [
        "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage",
        "requests.memory",
    ]

    mutating func resourceReference(_ reference: JSON, _ path: FieldPath) {
        let resource = reference.text("resource")
        if resource.isEmpty {
            add(.required(path.child("resource")))
        } else if !Self.referableResources.contains(resource), !resource.hasPrefix("limits.hugepages-"),
            !resource.hasPrefix("requests.hugepages-")
        {
            add(.unsupported(path.child("resource"), .string(resource), Self.referableResources))
        }
    }

    private mutating func environmentSources(_ sources: [JSON], _ path: FieldPath) {
        for (index, source) in sources.enumerated() {
            let place = path.index(index)
            optionalText(source, "prefix", place, NameSyntax.environmentName)
            let present = ["configMapRef", "secretRef"].filter { source.value($0) != nil }
            for kind in present where source[kind]?.text("name").isEmpty == true {
                add(.required(place.child(kind, "name")))
            }
            if present.isEmpty {
                add(.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
            } else if present.count > 1 {
                add(.invalid(path, "", "may not have more than one field specified at a time"))
            }
        }
    }

    // MARK: Handlers

    /// A probe's or hook's action: exactly one.
    private mutating func handler(_ handler: JSON, _ path: FieldPath) {
        var count = 0
        for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
            guard let action = handler.value(kind) else { continue }
            count += 1
            let path = path.child(kind)
            if count > 1 {
                add(.forbidden(path, "may not specify more than 1 handler type"))
                continue
            }
            switch kind {
            case "exec": if action.list("command").isEmpty { add(.required(path.child("command"))) }
            case "httpGet": httpGet(action, path)
            case "tcpSocket": portNumberOrName(action["port"], path.child("port"))
            case "grpc": add(NameSyntax.port(action["port"]?.int ?? 0), path.child("port"), action["port"] ?? 0)
            default: break
            }
        }
        if count == 0 { add(.required(path, "must specify a handler type")) }
    }

    private mutating func httpGet(_ action: JSON, _ path: FieldPath) {
        if action.text("path").isEmpty { add(.required(path.child("path"))) }
        portNumberOrName(action["port"], path.child("port"))
        choice(action, "scheme", path, ["HTTP", "HTTPS"])
        for header in action.list("httpHeaders") {
            let name = header.text("name")
            add(NameSyntax.headerName(name), path.child("httpHeaders"), .string(name))
        }
    }

    mutating func portNumberOrName(_ json: JSON?, _ path: FieldPath) {
        switch IntOrString(json) {
        case .int(let number)?: add(NameSyntax.port(number), path, JSON(number))
        case .string(let name)?: add(NameSyntax.portName(name), path, .string(name))
        case nil: add(.required(path))
        }
    }

    // MARK: Mounts

    private mutating func mounts(_ container: JSON, _ volumes: Set<String>, _ path: FieldPath) {
        var paths: Set<String> = []
        let path = path.child("volumeMounts")
        for (index, mount) in container.list("volumeMounts").enumerated() {
            let place = path.index(index)
            let name = mount.text("name")
            if name.isEmpty { add(.required(place.child("name"))) }
            if !volumes.contains(name) { add(.notFound(place.child("name"), .string(name))) }
            let target = mount.text("mountPath")
            if target.isEmpty { add(.required(place.child("mountPath"))) }
            if !paths.insert(target).inserted {
                add(.invalid(place.child("mountPath"), .string(target), "must be unique"))
            }
            for key in ["subPath", "subPathExpr"] where !mount.text(key).isEmpty {
                descendingPath(mount.text(key), place.child(key))
            }
            if !mount.text("subPath").isEmpty, !mount.text("subPathExpr").isEmpty {
                let value = JSON.string(mount.text("subPathExpr"))
                add(.invalid(place.child("subPathExpr"), value, "subPathExpr and subPath are mutually exclusive"))
            }
            let propagation = ["Bidirectional", "HostToContainer", "None"]
            choice(mount, "mountPropagation", place, propagation, optional: true)
            let isPrivileged = container["securityContext"]?["privileged"]?.bool == true
            if mount.text("mountPropagation") == "Bidirectional", !isPrivileged {
                let reason = "Bidirectional mount propagation is available only to privileged containers"
                add(.forbidden(place.child("mountPropagation"), reason))
            }
        }
    }

    /// A relative path that stays below where it begins.
    mutating func descendingPath(_ text: String, _ path: FieldPath) {
        if text.hasPrefix("/") { add(.invalid(path, .string(text), "must be a relative path")) }
        noBacksteps(text, path)
    }

    mutating func noBacksteps(_ text: String, _ path: FieldPath) {
        if text.split(separator: "/").contains("..") {
            add(.invalid(path, .string(text), "must not contain '..'"))
        }
    }

    // MARK: Resources and security

    mutating func resources(_ resources: JSON, _ path: FieldPath) {
        let limits = resources["limits"]?.members ?? [:]
        for (name, amount) in limits {
            resourceName(name, path.child("limits").key(name))
            self.amount(amount, of: name, path.child("limits").key(name))
        }
        for (name, request) in resources["requests"]?.members ?? [:] {
            let place = path.child("requests").key(name)
            resourceName(name, place)
            amount(request, of: name, place)
            let isShareable = !name.contains("/") && !name.hasPrefix("hugepages-")
            guard let limit = Quantity(limits[name]), let quantity = Quantity(request) else {
                if !isShareable {
                    add(.required(path.child("limits"), "Limit must be set for non overcommitable resources"))
                }
                continue
            }
            if quantity != limit, !isShareable {
                let reason = "must be equal to \(name) limit of \(limit)"
                add(.invalid(path.child("requests"), .string(quantity.description), reason))
            } else if quantity > limit {
                let reason = "must be less than or equal to \(name) limit of \(limit)"
                add(.invalid(path.child("requests"), .string(quantity.description), reason))
            }
        }
    }

    private mutating func resourceName(_ name: String, _ path: FieldPath) {
        let problems = LabelSyntax.problems(inKey: name)
        add(problems, path, .string(name))
        guard problems.isEmpty, !name.contains("/") else { return }
        if !["cpu", "memory", "ephemeral-storage"].contains(name), !name.hasPrefix("hugepages-") {
            add(.invalid(path, .string(name), "must be a standard resource for containers"))
        }
    }

    private mutating func securityContext(_ json: JSON?, _ path: FieldPath) {
        guard let json, !json.isNull else { return }
        for key in ["runAsUser", "runAsGroup"] {
            guard let id = json.value(key)?.int else { continue }
            add(NameSyntax.range(id, 0...Int(Int32.max)), path.child(key), JSON(id))
        }
        choice(json, "procMount", path, ["Default", "Unmasked"], optional: true)
        seccomp(json["seccompProfile"], path.child("seccompProfile"))
        guard json["allowPrivilegeEscalation"]?.bool == false else { return }
        if json["privileged"]?.bool == true {
            let reason = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            add(.invalid(path, json, reason))
        }
        if json["capabilities"]?.list("add").contains("CAP_SYS_ADMIN") == true {
            let reason = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            add(.invalid(path, json, reason))
        }
    }
}
