// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// One rule: a change to a valid object, and the errors that upstream then reports.
struct BrokenRule: Sendable, CustomTestStringConvertible {
    let kind: String
    let path: String
    let value: JSON?
    let errors: [String]

    init(_ kind: String, _ path: String, _ value: JSON?, _ errors: String...) {
        self.kind = kind
        self.path = path
        self.value = value
        self.errors = errors
    }

    var testDescription: String { "\(kind) \(path)" }
}

private let label = "'[a-z0-9]([-a-z0-9]*[a-z0-9])?'"
private let container = "spec.containers.0"

private let podRules: [BrokenRule] = [
    .init("Pod", "spec.containers", [], "spec.containers: Required value"),
    .init(
        "Pod", "spec.resources", ["limits": ["example.org/x": "1"]],
        "spec.resources.limits[example.org/x]: Unsupported value: \"example.org/x\": supported values: \"cpu\", "
            + "\"hugepages-\", \"memory\""),
    .init("Pod", "\(container).image", nil, "spec.containers[0].image: Required value"),
    .init(
        "Pod", "\(container).image", " nginx",
        "spec.containers[0].image: Invalid value: \" nginx\": must not have leading or trailing whitespace"),
    .init("Pod", "\(container).name", "", "spec.containers[0].name: Required value"),
    .init(
        "Pod", "\(container).name", "A_b",
        "spec.containers[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist of lower case "
            + "alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name', "
            + " or '123-abc', regex used for validation is \(label))"),
    .init("Pod", "spec.containers.+", ["name": "a", "image": "b"], "spec.containers[1].name: Duplicate value: \"a\""),
    .init(
        "Pod", "spec.initContainers.+", ["name": "a", "image": "b"],
        "spec.initContainers[0].name: Duplicate value: \"a\""),
    .init(
        "Pod", "spec.initContainers.+", ["name": "i", "image": "b", "livenessProbe": ["exec": ["command": ["x"]]]],
        "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers without "
            + "restartPolicy=Always"),
    .init(
        "Pod", "spec.restartPolicy", "Sometimes",
        "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"Never\", \"OnFailure\""),
    .init(
        "Pod", "\(container).imagePullPolicy", "Maybe",
        "spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", "
            + "\"IfNotPresent\", \"Never\""),
    .init(
        "Pod", "\(container).ports.+", ["containerPort": 0], "spec.containers[0].ports[0].containerPort: Required value"
    ),
    .init(
        "Pod", "\(container).ports.+", ["containerPort": 70000],
        "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"),
    .init(
        "Pod", "\(container).ports", [["containerPort": 1, "name": "p"], ["containerPort": 2, "name": "p"]],
        "spec.containers[0].ports[1].name: Duplicate value: \"p\""),
    .init(
        "Pod", "\(container).ports.+", ["containerPort": 1, "name": "seventeen-letters"],
        "spec.containers[0].ports[0].name: Invalid value: \"seventeen-letters\": must be no more than 15 bytes"),
    .init(
        "Pod", "\(container).volumeMounts.+", ["name": "v", "mountPath": "/v"],
        "spec.containers[0].volumeMounts[0].name: Not found: \"v\""),
    .init("Pod", "\(container).env.+", ["name": "", "value": "x"], "spec.containers[0].env[0].name: Required value"),
    .init(
        "Pod", "\(container).env.+",
        ["name": "A", "value": "x", "valueFrom": ["secretKeyRef": ["name": "s", "key": "k"]]],
        "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"),
    .init(
        "Pod", "\(container).resources", ["requests": ["cpu": "2"], "limits": ["cpu": "1"]],
        "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1"),
    .init(
        "Pod", "\(container).resources.limits", ["cpu": "-1"],
        "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        "spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be greater than or equal to 0"),
    .init(
        "Pod", "\(container).livenessProbe", [:],
        "spec.containers[0].livenessProbe: Required value: must specify a handler type"),
    .init(
        "Pod", "\(container).livenessProbe", ["exec": ["command": ["x"]], "tcpSocket": ["port": 1]],
        "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type"),
    .init(
        "Pod", "\(container).livenessProbe", ["exec": ["command": ["x"]], "successThreshold": 2],
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1"),
    .init(
        "Pod", "spec.volumes.+", ["name": "v", "emptyDir": [:], "hostPath": ["path": "/x"]],
        "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"),
    .init(
        "Pod", "spec.volumes.+", ["name": "v", "hostPath": ["path": ""]],
        "spec.volumes[0].hostPath.path: Required value"),
    .init(
        "Pod", "spec.volumes.+", ["name": "v", "hostPath": ["path": "/a/../b"]],
        "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'"),
    .init("Pod", "spec.volumes.+", ["name": "v", "secret": [:]], "spec.volumes[0].secret.secretName: Required value"),
    .init(
        "Pod", "spec.volumes", [["name": "v", "emptyDir": [:]], ["name": "v", "emptyDir": [:]]],
        "spec.volumes[1].name: Duplicate value: \"v\""),
    .init(
        "Pod", "spec.tolerations.+", ["operator": "Exists", "value": "x"],
        "spec.tolerations[0].operator: Invalid value: {\"operator\":\"Exists\",\"value\":\"x\"}: value must be empty "
            + "when `operator` is 'Exists'"),
    .init(
        "Pod", "spec.activeDeadlineSeconds", 0,
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive"),
    .init(
        "Pod", "spec.dnsPolicy", "None",
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None"),
    .init(
        "Pod", "spec.topologySpreadConstraints.+",
        ["maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"],
        "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero"),
    .init(
        "Pod", "\(container).securityContext", ["privileged": true, "allowPrivilegeEscalation": false],
        "spec.containers[0].securityContext: Invalid value: {\"privileged\":true,\"allowPrivilegeEscalation\":false}: "
            + "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
    .init(
        "Pod", "spec.securityContext", ["sysctls": [["name": "bar..", "value": "1"]]],
        "spec.securityContext.sysctls[0].name: Invalid value: \"bar..\": must have at most 253 characters and match regex "
            + "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"),
    .init(
        "Pod", "spec.securityContext",
        ["sysctls": [["name": "kernel.shmmax", "value": "1"], ["name": "kernel.shmmax", "value": "1"]]],
        "spec.securityContext.sysctls[1].name: Duplicate value: \"kernel.shmmax\""),
    .init("Pod", "metadata.name", "", "metadata.name: Required value: name or generateName is required"),
    .init(
        "Pod", "metadata.labels", ["a": "b c"],
        "metadata.labels: Invalid value: \"b c\": a valid label must be an empty string or consist of alphanumeric "
            + "characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or "
            + "'my_value',  or '12345', regex used for validation is "
            + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"),
    .init("Pod", "metadata.namespace", nil, "metadata.namespace: Required value"),
]

private let otherRules: [BrokenRule] = [
    .init(
        "Deployment", "spec.selector.matchLabels", ["app": "b"],
        "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`"),
    .init("Deployment", "spec.selector", nil, "spec.selector: Required value"),
    .init("Deployment", "spec.replicas", -1, "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
    .init(
        "Deployment", "spec.strategy", ["type": "Recreate", "rollingUpdate": ["maxSurge": 1]],
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"),
    .init(
        "Deployment", "spec.strategy", ["rollingUpdate": ["maxSurge": 0, "maxUnavailable": 0]],
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0"),
    .init(
        "Deployment", "spec.template.spec.restartPolicy", "Never",
        "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\""),
    .init("Deployment", "spec.template.spec.containers", [], "spec.template.spec.containers: Required value"),
    .init(
        "Deployment", "spec.selector.matchExpressions.+", ["key": "app", "operator": "In"],
        "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        "spec.template.metadata.labels: Invalid value: {\"app\":\"a\"}: `selector` does not match template `labels`"),
    .init("StatefulSet", "spec.replicas", -2, "spec.replicas: Invalid value: -2: must be greater than or equal to 0"),
    .init(
        "DaemonSet", "spec.updateStrategy.type", "x",
        "spec.updateStrategy.type: Unsupported value: \"x\": supported values: \"OnDelete\", \"RollingUpdate\""),
    .init(
        "Service", "metadata.name", "1a",
        "metadata.name: Invalid value: \"1a\": a DNS-1035 label must consist of lower case alphanumeric characters or "
            + "'-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or "
            + "'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"),
    .init("Service", "spec.ports", nil, "spec.ports: Required value"),
    .init("Service", "spec.ports.+", ["port": 81], "spec.ports[1].name: Required value"),
    .init(
        "Service", "spec.ports.+", ["name": "b", "port": 80],
        "spec.ports[1]: Duplicate value: {\"port\":80,\"protocol\":\"TCP\"}"),
    .init(
        "Service", "spec.ports.0.nodePort", 30000,
        "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
    .init(
        "Service", "spec.type", "X",
        "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", "
            + "\"NodePort\""),
    .init(
        "Service", "spec.externalIPs.+", "x",
        "spec.externalIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    .init(
        "PersistentVolume", "spec.capacity", nil, "spec.capacity: Required value",
        "spec.capacity: Unsupported value: null: supported values: \"storage\""),
    .init("PersistentVolume", "spec.hostPath", nil, "spec: Required value: must specify a volume type"),
    .init("PersistentVolume", "spec.accessModes", nil, "spec.accessModes: Required value"),
    .init("PersistentVolume", "metadata.namespace", "a", "metadata.namespace: Forbidden: not allowed on this type"),
    .init(
        "PersistentVolumeClaim", "spec.accessModes", nil,
        "spec.accessModes: Required value: at least 1 access mode is required"),
    .init("PersistentVolumeClaim", "spec.resources", nil, "spec.resources[storage]: Required value"),
    .init(
        "PersistentVolumeClaim", "spec.resources.requests.storage", "0",
        "spec.resources[storage]: Invalid value: \"0\": must be greater than zero"),
    .init("Role", "rules.0.verbs", [], "rules[0].verbs: Required value: verbs must contain at least one value"),
    .init(
        "Role", "rules.0", ["nonResourceURLs": ["/x"], "verbs": ["get"]],
        "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs"),
    .init(
        "RoleBinding", "roleRef.kind", "X",
        "roleRef.kind: Unsupported value: \"X\": supported values: \"ClusterRole\", \"Role\""),
    .init("RoleBinding", "metadata.name", "a/b", "metadata.name: Invalid value: \"a/b\": may not contain '/'"),
    .init(
        "ConfigMap", "data", ["a/b": "c"],
        "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of alphanumeric characters, '-', '_' or "
            + "'.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"),
    .init(
        "ConfigMap", "data", ["a": .string(String(repeating: "x", count: 1 << 20 + 1))],
        "Too long: may not be more than 1048576 bytes"),
    .init("Secret", "type", "kubernetes.io/tls", "data[tls.crt]: Required value", "data[tls.key]: Required value"),
    .init(
        "CronJob", "spec.schedule", "* * *",
        "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3: [* * *]"),
    .init(
        "CronJob", "spec.jobTemplate.spec.template.spec.restartPolicy", nil,
        "spec.jobTemplate.spec.template.spec.restartPolicy: Required value: valid values: \"OnFailure\", \"Never\""),
    .init(
        "Ingress", "spec.rules.0.http.paths.0.pathType", nil,
        "spec.rules[0].http.paths[0].pathType: Required value: pathType must be specified"),
    .init(
        "Ingress", "spec.rules.0.host", "1.2.3.4",
        "spec.rules[0].host: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"),
    .init(
        "Namespace", "metadata.name", "a.b", "metadata.name: Invalid value: \"a.b\": must not contain dots"),
    .init(
        "PriorityClass", "value", 1_000_000_001,
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
    .init(
        "EndpointSlice", "endpoints.0.addresses", ["x"],
        "endpoints[0].addresses[0]: Invalid value: \"x\": must be a valid IPv4 address"),
    .init("EndpointSlice", "addressType", nil, "addressType: Required value"),
    .init(
        "NetworkPolicy", "spec.ingress.0.from.0", [:], "spec.ingress[0].from[0]: Required value: must specify a peer"),
    .init(
        "LimitRange", "spec.limits.0.min", ["cpu": "2"],
        "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1"),
    // The schema alone.
    .init(
        "ValidatingWebhookConfiguration", "webhooks.0.failurePolicy", "x",
        "webhooks[0].failurePolicy: Unsupported value: \"x\": supported values: \"Fail\", \"Ignore\""),
    .init("ValidatingWebhookConfiguration", "webhooks.0.name", "", "webhooks[0].name: Required value"),
    .init(
        "HorizontalPodAutoscaler", "spec.minReplicas", 4,
        "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"),
    .init(
        "Node", "spec.taints", [["key": "a", "effect": "x"]],
        "spec.taints[0].effect: Unsupported value: \"x\": supported values: \"NoExecute\", \"NoSchedule\", "
            + "\"PreferNoSchedule\""),
]

struct CreateValidationTests {
    @Test(arguments: ValidationFixture.kinds.keys.sorted())
    func theFixturesAreValid(kind: String) throws {
        #expect(try ValidationFixture.errors(kind, []) == [])
    }

    @Test(arguments: podRules + otherRules + admissionPolicyRules)
    func everyRuleIsSeenToFail(rule: BrokenRule) throws {
        #expect(try ValidationFixture.errors(rule.kind, [(rule.path, rule.value)]) == rule.errors)
    }

    @Test func theAnswerIsUpstreams() throws {
        let kind = GroupVersionKind("apps", "v1", "Deployment")
        let object = try ValidationFixture.object("Deployment", [("spec.replicas", -1), ("spec.selector", nil)])
        let errors = ObjectRules.validateCreate(object, kind: kind)
        let status = StatusError.invalid(kind, name: "x", errors)
        #expect(status.code == 422)
        #expect(status.reason == "Invalid")
        #expect(
            status.message
                == "Deployment.apps \"x\" is invalid: [spec.replicas: Invalid value: -1: must be greater than or "
                + "equal to 0, spec.selector: Required value]")
        #expect(
            status.details?.causes.last
                == .init(reason: "FieldValueRequired", message: "Required value", field: "spec.selector"))
        #expect(status.details?.kind == "Deployment")
        let single = StatusError.invalid(.init("", "v1", "Pod"), name: "y", Array(errors.suffix(1)))
        #expect(single.message == "Pod \"y\" is invalid: spec.selector: Required value")
    }

    @Test func jobsGetTheirSelector() throws {
        let kind = GroupVersionKind("batch", "v1", "Job")
        let text = #"""
            {"metadata":{"name":"j","namespace":"default","uid":"u"},"spec":{"template":{"spec":{
            "restartPolicy":"Never","containers":[{"name":"a","image":"i:1"}]}}}}
            """#
        var job = try ObjectRules.check(JSON.parse(text), kind: kind, strictness: .strict).json
        ObjectRules.applyDefaults(&job, kind: kind)
        let errors = ObjectRules.validateCreate(job, kind: kind)
        #expect(errors.map(\.description) == ["spec.selector: Required value"])
        ObjectRules.prepareForCreate(&job, kind: kind)
        #expect(ObjectRules.validateCreate(job, kind: kind) == [])
        #expect(job["spec"]?["selector"] == ["matchLabels": ["batch.kubernetes.io/controller-uid": "u"]])
        #expect(
            job["spec"]?["template"]?["metadata"]?["labels"] == [
                "controller-uid": "u", "batch.kubernetes.io/controller-uid": "u", "job-name": "j",
                "batch.kubernetes.io/job-name": "j",
            ])
    }

    @Test(arguments: [
        ("@daily", true), ("@every 1h30m", true), ("0 0 1 1 *", true), ("0-30/5 9-17 * * mon-fri", true),
        ("0 0 ? * 0", true), ("60 * * * *", false), ("* 24 * * *", false), ("* * 0 * *", false),
        ("* * * 13 *", false), ("* * * * 7", false), ("*/0 * * * *", false), ("5-1 * * * *", false),
        ("@never", false), ("TZ=UTC * * * * *", false), ("a * * * *", false), ("@every x", false),
    ])
    func cronSchedules(schedule: String, isValid: Bool) {
        #expect((CronSchedule.problem(in: schedule) == nil) == isValid)
    }

    @Test(arguments: [
        ("10.0.0.1", true), ("256.0.0.1", false), ("01.0.0.1", false), ("1.2.3", false), ("::", true), ("::1", true),
        ("2001:db8::1", true), ("1:2:3:4:5:6:7:8", true), ("1:2:3:4:5:6:7", false), ("1::2::3", false),
        ("::ffff:10.0.0.1", true), ("fe80::1%eth0", false), ("12345::", false), ("", false),
    ])
    func addresses(text: String, isValid: Bool) {
        #expect(AddressSyntax.isAddress(text) == isValid)
    }
}
