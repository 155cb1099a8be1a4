// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// Valid objects, which a test changes in one place to see the rule that it breaks.
enum ValidationFixture {
    static let kinds: [String: GroupVersionKind] = [
        "Pod": .init("", "v1", "Pod"), "Deployment": .init("apps", "v1", "Deployment"),
        "Service": .init("", "v1", "Service"), "StatefulSet": .init("apps", "v1", "StatefulSet"),
        "PersistentVolume": .init("", "v1", "PersistentVolume"),
        "PersistentVolumeClaim": .init("", "v1", "PersistentVolumeClaim"),
        "Role": .init("rbac.authorization.k8s.io", "v1", "Role"),
        "RoleBinding": .init("rbac.authorization.k8s.io", "v1", "RoleBinding"),
        "ConfigMap": .init("", "v1", "ConfigMap"), "Secret": .init("", "v1", "Secret"),
        "CronJob": .init("batch", "v1", "CronJob"), "Ingress": .init("networking.k8s.io", "v1", "Ingress"),
        "Namespace": .init("", "v1", "Namespace"), "PriorityClass": .init("scheduling.k8s.io", "v1", "PriorityClass"),
        "EndpointSlice": .init("discovery.k8s.io", "v1", "EndpointSlice"),
        "NetworkPolicy": .init("networking.k8s.io", "v1", "NetworkPolicy"),
        "LimitRange": .init("", "v1", "LimitRange"), "DaemonSet": .init("apps", "v1", "DaemonSet"),
        "ValidatingWebhookConfiguration": .init(
            "admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
        "ValidatingAdmissionPolicy": .init("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
        "ValidatingAdmissionPolicyBinding": .init(
            "admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicyBinding"), "Node": .init("", "v1", "Node"),
        "HorizontalPodAutoscaler": .init("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ]

    private static let podSpec: JSON = ["containers": [["name": "a", "image": "nginx:1"]]]
    private static let template: JSON = ["metadata": ["labels": ["app": "a"]], "spec": podSpec]
    private static let workload: JSON = ["selector": ["matchLabels": ["app": "a"]], "template": template]

    private static let contents: [String: JSON] = [
        "Pod": ["spec": podSpec], "Deployment": ["spec": workload], "StatefulSet": ["spec": workload],
        "DaemonSet": ["spec": workload],
        "Service": ["spec": ["ports": [["name": "http", "port": 80]], "selector": ["app": "a"]]],
        "PersistentVolume": [
            "spec": [
                "capacity": ["storage": "1Gi"], "accessModes": ["ReadWriteOnce"], "hostPath": ["path": "/mnt/data"],
                "storageClassName": "manual",
            ]
        ],
        "PersistentVolumeClaim": [
            "spec": ["accessModes": ["ReadWriteOnce"], "resources": ["requests": ["storage": "1Gi"]]]
        ],
        "Role": ["rules": [["apiGroups": [""], "resources": ["pods"], "verbs": ["get"]]]],
        "RoleBinding": [
            "roleRef": ["kind": "Role", "name": "r"],
            "subjects": [["kind": "ServiceAccount", "name": "s", "namespace": "default"]],
        ],
        "ConfigMap": ["data": ["k": "v"]], "Secret": ["data": ["k": "dg=="]],
        "CronJob": [
            "spec": [
                "schedule": "*/5 * * * *",
                "jobTemplate": [
                    "spec": [
                        "template": [
                            "spec": [
                                "containers": [["name": "a", "image": "nginx:1"]], "restartPolicy": "OnFailure",
                            ]
                        ]
                    ]
                ],
            ]
        ],
        "Ingress": [
            "spec": [
                "rules": [
                    [
                        "host": "a.example.com",
                        "http": [
                            "paths": [
                                [
                                    "path": "/", "pathType": "Prefix",
                                    "backend": ["service": ["name": "a", "port": ["number": 80]]],
                                ]
                            ]
                        ],
                    ]
                ]
            ]
        ],
        "Namespace": [:], "PriorityClass": ["value": 10],
        "EndpointSlice": ["addressType": "IPv4", "endpoints": [["addresses": ["10.0.0.1"]]], "ports": []],
        "NetworkPolicy": ["spec": ["podSelector": [:], "ingress": [["from": [["podSelector": [:]]]]]]],
        "LimitRange": ["spec": ["limits": [["type": "Container", "max": ["cpu": "1"]]]]],
        "ValidatingAdmissionPolicy": [
            "spec": [
                "matchConstraints": [
                    "resourceRules": [
                        [
                            "apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                            "resources": ["deployments", "deployments/scale"],
                        ]
                    ]
                ], "validations": [["expression": "object.spec.replicas <= 5", "message": "too many"]],
            ]
        ], "ValidatingAdmissionPolicyBinding": ["spec": ["policyName": "p", "validationActions": ["Deny"]]],
        "ValidatingWebhookConfiguration": [
            "webhooks": [
                [
                    "name": "a.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                    "clientConfig": ["url": "https://a.example.com"],
                ]
            ]
        ], "Node": [:],
        "HorizontalPodAutoscaler": [
            "spec": [
                "maxReplicas": 3, "scaleTargetRef": ["apiVersion": "apps/v1", "kind": "Deployment", "name": "a"],
            ]
        ],
    ]

    /// A valid object of a kind, checked and defaulted, with `changes` applied before: path, value or nil to remove.
    static func object(_ kind: String, _ changes: [(path: String, value: JSON?)] = []) throws -> JSON {
        let gvk = try #require(kinds[kind])
        var json = try #require(contents[kind])
        json["metadata"] = ["name": "x", "resourceVersion": "1"]
        if ResourceTable.builtIn[gvk]?.isNamespaced == true { json["metadata", "namespace"] = "default" }
        for change in changes { json = set(json, change.path.split(separator: ".")[...], change.value) }
        json = try ObjectRules.check(json, kind: gvk, strictness: .strict).json
        ObjectRules.applyDefaults(&json, kind: gvk)
        return json
    }

    /// Sets a value below a path whose numbers are list indices; `+` appends.
    private static func set(_ json: JSON, _ path: ArraySlice<Substring>, _ value: JSON?) -> JSON {
        guard let key = path.first else { return value ?? .null }
        let rest = path.dropFirst()
        if key == "+" { return .array(json.elements + [set(.null, rest, value)]) }
        if let index = Int(key) {
            var elements = json.elements
            elements[index] = set(elements[index], rest, value)
            return .array(elements)
        }
        var result = json.object == nil ? JSON.object([:]) : json
        let member = String(key).replacing("~", with: ".")
        if rest.isEmpty {
            result[member] = value
        } else {
            result[member] = set(result[member] ?? .null, rest, value)
        }
        return result
    }

    static func errors(_ kind: String, _ changes: [(path: String, value: JSON?)]) throws -> [String] {
        let object = try object(kind, changes)
        return try ObjectRules.validateCreate(object, kind: #require(kinds[kind])).map(\.description)
    }
}
