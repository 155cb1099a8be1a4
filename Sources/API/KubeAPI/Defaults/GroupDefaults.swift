// SPDX-License-Identifier: Apache-2.0

import JSON

/// Defaults of the smaller API groups.
enum GroupDefaults {
    static func networkPolicy(_ policy: inout JSON) {
        policy.change("spec") { spec in
            if spec.list("policyTypes").isEmpty {
                spec["policyTypes"] = spec.list("egress").isEmpty ? ["Ingress"] : ["Ingress", "Egress"]
            }
            for direction in ["ingress", "egress"] {
                spec.changeEach(direction) { $0.changeEach("ports") { $0.setTextDefault("protocol", "TCP") } }
            }
        }
    }

    static func endpointSlice(_ slice: inout JSON) {
        slice.changeEach("ports") { port in
            port.setDefault("name", "")
            port.setTextDefault("protocol", "TCP")
        }
    }

    static func roleBinding(_ binding: inout JSON) {
        let group = "rbac.authorization.k8s.io"
        binding.changeOrCreate("roleRef") { $0.setTextDefault("apiGroup", group) }
        binding.changeEach("subjects") { subject in
            if ["User", "Group"].contains(subject.text("kind")) { subject.setTextDefault("apiGroup", group) }
        }
    }

    static func csiDriver(_ driver: inout JSON) {
        driver.changeOrCreate("spec") { spec in
            spec.setDefault("attachRequired", true)
            for name in ["podInfoOnMount", "storageCapacity", "requiresRepublish", "seLinuxMount"] {
                spec.setDefault(name, false)
            }
            spec.setTextDefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
            if spec.list("volumeLifecycleModes").isEmpty { spec["volumeLifecycleModes"] = ["Persistent"] }
        }
    }

    static func priorityLevel(_ level: inout JSON) {
        level.change("spec") { spec in
            spec.change("exempt") { exempt in
                exempt.setDefault("nominalConcurrencyShares", 0)
                exempt.setDefault("lendablePercent", 0)
            }
            spec.change("limited") { limited in
                limited.setDefault("nominalConcurrencyShares", 30)
                limited.setDefault("lendablePercent", 0)
                limited.change("limitResponse") { response in
                    response.change("queuing") { queuing in
                        queuing.setIntegerDefault("handSize", 8)
                        queuing.setIntegerDefault("queues", 64)
                        queuing.setIntegerDefault("queueLengthLimit", 50)
                    }
                }
            }
        }
    }

    static func customResourceDefinition(_ definition: inout JSON) {
        definition.change("spec") { spec in
            spec.change("names") { names in
                names.setTextDefault("singular", names.text("kind").lowercased())
                names.setTextDefault("listKind", names.text("kind") + "List")
            }
            spec.changeOrCreate("conversion") { conversion in
                conversion.setTextDefault("strategy", "None")
                conversion.change("webhook") { webhook in
                    webhook.change("clientConfig") { $0.change("service") { $0.setDefault("port", 443) } }
                }
            }
        }
        definition.changeOrCreate("status") { status in
            status.setDefault("conditions", [])
            status.setDefault("storedVersions", [])
            status.changeOrCreate("acceptedNames") { names in
                names.setDefault("kind", "")
                names.setDefault("plural", "")
            }
        }
    }

    static func resourceClaimSpec(_ spec: inout JSON) {
        spec.change("devices") { devices in
            devices.changeEach("requests") { request in
                request.change("exactly", deviceRequest)
                request.changeEach("firstAvailable", deviceRequest)
            }
        }
    }

    private static func deviceRequest(_ request: inout JSON) {
        request.setTextDefault("allocationMode", "ExactCount")
        if request.text("allocationMode") == "ExactCount" { request.setIntegerDefault("count", 1) }
    }
}

/// Defaults of webhooks and admission policies (`pkg/apis/admissionregistration/v1/defaults.go`).
enum AdmissionDefaults {
    static func webhook(_ webhook: inout JSON) {
        webhook.setTextDefault("failurePolicy", "Fail")
        webhook.setTextDefault("matchPolicy", "Equivalent")
        webhook.setDefault("namespaceSelector", .object([:]))
        webhook.setDefault("objectSelector", .object([:]))
        webhook.setDefault("timeoutSeconds", 10)
        webhook.changeEach("rules") { $0.setTextDefault("scope", "*") }
        webhook.change("clientConfig") { $0.change("service") { $0.setDefault("port", 443) } }
    }

    static func policy(_ policy: inout JSON) {
        policy.change("spec") { spec in
            spec.setTextDefault("failurePolicy", "Fail")
            spec.change("matchConstraints", matchResources)
        }
    }

    static func binding(_ binding: inout JSON) {
        binding.change("spec") { $0.change("matchResources", matchResources) }
    }

    private static func matchResources(_ match: inout JSON) {
        match.setTextDefault("matchPolicy", "Equivalent")
        match.setDefault("namespaceSelector", .object([:]))
        match.setDefault("objectSelector", .object([:]))
        for list in ["resourceRules", "excludeResourceRules"] {
            match.changeEach(list) { $0.setTextDefault("scope", "*") }
        }
    }
}

/// Defaults of autoscalers (`pkg/apis/autoscaling/v2/defaults.go`).
enum AutoscalingDefaults {
    static func autoscaler(_ autoscaler: inout JSON) {
        let isSecond = autoscaler.text("apiVersion") == "autoscaling/v2"
        autoscaler.changeOrCreate("spec") { spec in
            spec.setDefault("minReplicas", 1)
            guard isSecond else { return }
            if spec.list("metrics").isEmpty {
                let target: JSON = ["type": "Utilization", "averageUtilization": 80]
                spec["metrics"] = [["type": "Resource", "resource": ["name": "cpu", "target": target]]]
            }
            spec.change("behavior") { behavior in
                let percent: JSON = ["type": "Percent", "value": 100, "periodSeconds": 15]
                let pods: JSON = ["type": "Pods", "value": 4, "periodSeconds": 15]
                behavior.changeOrCreate("scaleUp") { rules in
                    rules.setDefault("stabilizationWindowSeconds", 0)
                    rules.setTextDefault("selectPolicy", "Max")
                    if rules.value("policies") == nil { rules["policies"] = [pods, percent] }
                }
                behavior.changeOrCreate("scaleDown") { rules in
                    rules.setTextDefault("selectPolicy", "Max")
                    if rules.value("policies") == nil { rules["policies"] = [percent] }
                }
            }
        }
    }
}
