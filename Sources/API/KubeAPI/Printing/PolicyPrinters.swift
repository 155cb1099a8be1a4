// SPDX-License-Identifier: Apache-2.0

import JSON

/// Policy, access, admission, certificates, API machinery and devices.
extension TablePrinter {
    static let policyPrinters: [String: TablePrinter] = accessPrinters.merging(admissionPrinters) { $1 }
        .merging(machineryPrinters) { $1 }

    private static let accessPrinters: [String: TablePrinter] = [
        "policy/PodDisruptionBudget": .init(
            "Name|Min Available|Max Unavailable|Allowed Disruptions:integer|Age"
        ) {
            [
                $0.name, .string($0.text($0.spec?["minAvailable"], else: "N/A")),
                .string($0.text($0.spec?["maxUnavailable"], else: "N/A")),
                $0.integer($0.status?["disruptionsAllowed"]), $0.age,
            ]
        },
        "rbac.authorization.k8s.io/RoleBinding": binding,
        "rbac.authorization.k8s.io/ClusterRoleBinding": binding,
        "certificates.k8s.io/CertificateSigningRequest": signingRequest,
        "certificates.k8s.io/ClusterTrustBundle": .init("Name|SignerName") {
            [$0.name, $0.string($0.spec?["signerName"], else: "<none>")]
        },
    ]

    private static let binding = TablePrinter("Name|Role|Age|Users*|Groups*|ServiceAccounts*") { binding in
        let role = binding.json["roleRef"]
        func subjects(_ kind: String) -> JSON {
            let matching = (binding.json["subjects"]?.elements ?? []).filter { $0["kind"]?.string == kind }
            let names = matching.map { subject in
                let name = subject["name"]?.string ?? ""
                return kind == "ServiceAccount" ? "\(subject["namespace"]?.string ?? "")/\(name)" : name
            }
            return .string(names.joined(separator: ", "))
        }
        return [
            binding.name, .string("\(role?["kind"]?.string ?? "")/\(role?["name"]?.string ?? "")"), binding.age,
            subjects("User"), subjects("Group"), subjects("ServiceAccount"),
        ]
    }

    private static let signingRequest = TablePrinter(
        "Name|Age|SignerName|Requestor|RequestedDuration|Condition"
    ) { request in
        func has(_ condition: String) -> Bool { request.condition(condition) != nil }
        var state = has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending"
        if has("Failed") { state += ",Failed" }
        if request.status?["certificate"]?.string?.isEmpty == false { state += ",Issued" }
        let seconds = request.spec?["expirationSeconds"]?.int
        return [
            request.name, request.age, request.string(request.spec?["signerName"], else: "<none>"),
            request.string(request.spec?["username"]),
            .string(seconds.map { HumanDuration.text(seconds: Double($0)) } ?? "<none>"), .string(state),
        ]
    }

    private static let admissionPrinters: [String: TablePrinter] = {
        let webhooks = TablePrinter("Name|Webhooks:integer|Age") {
            [$0.name, JSON($0.count($0.json["webhooks"])), $0.age]
        }
        let group = "admissionregistration.k8s.io"
        return [
            "\(group)/MutatingWebhookConfiguration": webhooks,
            "\(group)/ValidatingWebhookConfiguration": webhooks,
            "\(group)/ValidatingAdmissionPolicy": policy("Validations", "validations"),
            "\(group)/MutatingAdmissionPolicy": policy("Mutations", "mutations"),
            "\(group)/ValidatingAdmissionPolicyBinding": policyBinding,
            "\(group)/MutatingAdmissionPolicyBinding": policyBinding,
        ]
    }()

    private static func policy(_ column: String, _ field: String) -> TablePrinter {
        TablePrinter("Name|\(column):integer|ParamKind|Age") { policy in
            var kind = "<unset>"
            if let parameter = policy.spec?["paramKind"], parameter.object != nil {
                kind = "\(parameter["apiVersion"]?.string ?? "")/\(parameter["kind"]?.string ?? "")"
            }
            return [policy.name, JSON(policy.count(policy.spec?[field])), .string(kind), policy.age]
        }
    }

    private static let policyBinding = TablePrinter("Name|PolicyName|ParamRef|Age") { binding in
        var parameter = "<unset>"
        let reference = binding.spec?["paramRef"]
        if let name = reference?["name"]?.string, !name.isEmpty {
            let namespace = reference?["namespace"]?.string ?? ""
            parameter = "\(namespace.isEmpty ? "*" : namespace)/\(name)"
        } else if let selector = reference?["selector"], selector.object != nil {
            parameter = binding.selector(selector).string ?? ""
        }
        return [binding.name, binding.string(binding.spec?["policyName"]), .string(parameter), binding.age]
    }

    private static let machineryPrinters: [String: TablePrinter] = [
        "apiregistration.k8s.io/APIService": .init("Name|Service|Available|Age") { object in
            var service = "Local"
            if let reference = object.spec?["service"], reference.object != nil {
                service = "\(reference["namespace"]?.string ?? "")/\(reference["name"]?.string ?? "")"
            }
            var available = "Unknown"
            if let condition = object.condition("Available") {
                available = condition["status"]?.string ?? "Unknown"
                if available != "True" { available += " (\(condition["reason"]?.string ?? ""))" }
            }
            return [object.name, .string(service), .string(available), object.age]
        },
        "flowcontrol.apiserver.k8s.io/FlowSchema": .init(
            "Name|PriorityLevel|MatchingPrecedence|DistinguisherMethod|Age|MissingPL"
        ) {
            [
                $0.name, $0.string($0.spec?["priorityLevelConfiguration"]?["name"]),
                $0.integer($0.spec?["matchingPrecedence"]),
                $0.string($0.spec?["distinguisherMethod"]?["type"], else: "<none>"), $0.age,
                $0.string($0.condition("Dangling")?["status"], else: "?"),
            ]
        },
        "flowcontrol.apiserver.k8s.io/PriorityLevelConfiguration": .init(
            "Name|Type|NominalConcurrencyShares|Queues|HandSize|QueueLengthLimit|Age"
        ) { level in
            let limited = level.spec?["limited"]
            let queuing = limited?["limitResponse"]?["queuing"]
            // Value by value: Swift 6.2 cannot find the types of one joined expression in reasonable time.
            var cells: [JSON] = [level.name, level.string(level.spec?["type"])]
            cells.append(limited?["nominalConcurrencyShares"] ?? "<none>")
            for name in ["queues", "handSize", "queueLengthLimit"] { cells.append(queuing?[name] ?? "<none>") }
            cells.append(level.age)
            return cells
        },
        "internal.apiserver.k8s.io/StorageVersion": .init("Name|CommonEncodingVersion|StorageVersions|Age") { object in
            let versions = (object.status?["storageVersions"]?.elements ?? []).map {
                "\($0["apiServerID"]?.string ?? "")=\($0["encodingVersion"]?.string ?? "")"
            }
            return [
                object.name, object.string(object.status?["commonEncodingVersion"], else: "<unset>"),
                .string(object.shortened(versions)), object.age,
            ]
        },
        "storagemigration.k8s.io/StorageVersionMigration": .init("Name|Resource") { object in
            let resource = object.spec?["resource"]
            let parts = ["resource", "version", "group"].map { resource?[$0]?.string ?? "" }
            return [object.name, .string(parts.joined(separator: "."))]
        },
        "resource.k8s.io/DeviceClass": .init("Name|Age") { [$0.name, $0.age] },
        "resource.k8s.io/ResourceClaimTemplate": .init("Name|Age") { [$0.name, $0.age] },
        "resource.k8s.io/ResourceClaim": .init("Name|State|Age") { claim in
            var states: [String] = []
            if claim.isBeingDeleted { states.append("deleted") }
            if claim.status?["allocation"]?.object != nil {
                states.append("allocated")
                if claim.count(claim.status?["reservedFor"]) > 0 { states.append("reserved") }
            } else if !claim.isBeingDeleted {
                states.append("pending")
            }
            return [claim.name, .string(states.joined(separator: ",")), claim.age]
        },
        "resource.k8s.io/ResourceSlice": .init("Name|Node|Driver|Pool|Age") {
            [
                $0.name, $0.string($0.spec?["nodeName"]), $0.string($0.spec?["driver"]),
                $0.string($0.spec?["pool"]?["name"]), $0.age,
            ]
        },
    ]
}
