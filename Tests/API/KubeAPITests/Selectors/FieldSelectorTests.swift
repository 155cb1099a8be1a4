// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Testing

/// The facts are those of k8s.io/apimachinery/pkg/fields and of the kinds' field label conversions.
struct FieldSelectorTests {
    private static let pod = GroupVersionKind("", "v1", "Pod")
    private static let object: JSON = [
        "metadata": ["name": "web", "namespace": "default"],
        "spec": ["nodeName": "pi-1", "restartPolicy": "Always", "unschedulable": true],
        "status": ["phase": "Running", "podIPs": [["ip": "10.1.0.5"]], "succeeded": 3], "type": "Opaque",
        "reason": "a=b,c\\d", "involvedObject": ["name": "pod-1"], "source": ["component": "kubelet"],
    ]

    @Test(arguments: [
        ("", true), ("metadata.name=web", true), ("metadata.name==web", true), ("metadata.name!=web", false),
        ("spec.nodeName=pi-1,status.phase!=Running", false), ("spec.nodeName=pi-1,status.phase=Running", true),
        ("status.podIP=10.1.0.5", true), ("spec.hostNetwork=false", true), ("spec.unschedulable=true", true),
        ("status.successful=3", true), ("status.replicas=0", true), ("type=Opaque", true), ("spec.nodeName=", false),
        ("spec.schedulerName=", true), ("reason=a\\=b\\,c\\\\d", true), ("involvedObject.name=pod-1", true),
        ("source=kubelet", true), ("reportingComponent=", true), (",metadata.name=web,", true),
    ])
    func selects(_ text: String, _ expected: Bool) throws {
        let selector = try FieldSelector(parsing: text)
        #expect(selector.matches(Self.object) == expected)
        #expect(try FieldSelector(parsing: selector.description) == selector)
    }

    @Test(arguments: [
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        ("a=b\\", "invalid field selector: invalid escape sequence: \\"),
        ("a=b\\x", "invalid field selector: invalid escape sequence: \\x"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
    ])
    func refusesMalformedText(_ text: String, _ message: String) {
        #expect(throws: StatusError.badRequest(message)) { try FieldSelector(parsing: text) }
    }

    @Test(
        arguments: [
            (pod, "spec.nodeName", nil), (pod, "spec.foo", "field label not supported: spec.foo"),
            (.init("", "v1", "Node"), "spec.unschedulable", nil), (.init("", "v1", "Secret"), "type", nil),
            (.init("", "v1", "Event"), "involvedObject.uid", nil), (.init("events.k8s.io", "v1", "Event"), "type", nil),
            (.init("", "v1", "Namespace"), "metadata.namespace", "field label not supported: metadata.namespace"),
            (.init("batch", "v1", "Job"), "x", "field label \"x\" not supported for batchv1.Job"),
            (
                .init("", "v1", "ConfigMap"), "data.x",
                "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
            ),
            (.init("certificates.k8s.io", "v1", "CertificateSigningRequest"), "spec.signerName", nil),
        ] as [(GroupVersionKind, String, String?)])
    func kindsOfferTheirFields(_ kind: GroupVersionKind, _ field: String, _ refusal: String?) throws {
        if let refusal {
            #expect(throws: StatusError.badRequest(refusal)) {
                try FieldSelector(parsing: "\(field)=x", for: kind, fields: .of(kind))
            }
        } else {
            let selector = try FieldSelector(parsing: "\(field)=x", for: kind, fields: .of(kind))
            #expect(selector.requiredValue(of: field) == "x")
        }
    }

    @Test func oldNamesAreTranslated() throws {
        let selector = try FieldSelector(parsing: "spec.host=pi-1", for: Self.pod, fields: .of(Self.pod))
        #expect(selector.requiredValue(of: "spec.nodeName") == "pi-1")
        #expect(selector.matches(Self.object))
        let kind = GroupVersionKind("events.k8s.io", "v1", "Event")
        let event = try FieldSelector(parsing: "regarding.name=pod-1", for: kind, fields: .of(kind))
        #expect(event.matches(Self.object))
        #expect(event.matches(["regarding": ["name": "pod-1"]]))
    }

    @Test func customResourcesOfferWhatTheyDeclare() throws {
        let kind = GroupVersionKind("example.com", "v1", "Widget")
        let selector = try FieldSelector(parsing: "spec.color=red", for: kind, fields: .custom(["spec.color"]))
        #expect(selector.matches(["spec": ["color": "red"]]))
        #expect(!selector.matches(["spec": ["color": "blue"]]))
    }
}

struct NodeSelectorTests {
    private static let node = KubeObject([
        "metadata": ["name": "pi-1", "labels": ["arch": "arm64", "cores": "4"]]
    ])

    private func matches(_ terms: JSON) -> Bool {
        NodeSelector(["nodeSelectorTerms": terms]).matches(Self.node)
    }

    @Test func termsAreAlternativesAndEmptyOnesSelectNothing() {
        #expect(!matches([]))
        #expect(!matches([[:]]))
        #expect(matches([[:], ["matchExpressions": [["key": "arch", "operator": "In", "values": ["arm64"]]]]]))
        #expect(!matches([["matchExpressions": [["key": "arch", "operator": "In", "values": ["amd64"]]]]]))
        #expect(matches([["matchExpressions": [["key": "gpu", "operator": "DoesNotExist"]]]]))
        #expect(matches([["matchExpressions": [["key": "gpu", "operator": "NotIn", "values": ["x"]]]]]))
    }

    @Test func numbersAreCompared() {
        #expect(matches([["matchExpressions": [["key": "cores", "operator": "Gt", "values": ["3"]]]]]))
        #expect(!matches([["matchExpressions": [["key": "cores", "operator": "Gt", "values": ["4"]]]]]))
        #expect(matches([["matchExpressions": [["key": "cores", "operator": "Lt", "values": ["5"]]]]]))
    }

    @Test func fieldsSelectByName() {
        #expect(matches([["matchFields": [["key": "metadata.name", "operator": "In", "values": ["pi-1"]]]]]))
        #expect(!matches([["matchFields": [["key": "metadata.name", "operator": "NotIn", "values": ["pi-1"]]]]]))
        #expect(!matches([["matchFields": [["key": "spec.x", "operator": "In", "values": ["pi-1"]]]]]))
    }

    @Test func invalidTermsSelectNothing() {
        #expect(!matches([["matchExpressions": [["key": "arch", "operator": "In", "values": []]]]]))
        #expect(!matches([["matchExpressions": [["key": "arch", "operator": "Like", "values": ["x"]]]]]))
    }
}
