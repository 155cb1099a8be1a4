// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// The type below a path of field names; `[]` steps into a list or map.
private func type(_ kind: GroupVersionKind, _ path: String...) -> SchemaType? {
    var current = Schema.type(for: kind)
    for name in path { current = name == "[]" ? current?.element : current?.field(name)?.type }
    return current
}

private let pod = GroupVersionKind("", "v1", "Pod")
private let deployment = GroupVersionKind("apps", "v1", "Deployment")
private let service = GroupVersionKind("", "v1", "Service")

struct SchemaTypeTests {
    @Test(arguments: [
        GroupVersionKind("apps.example.com", "v1", "Deployment"), GroupVersionKind("core.oam.dev", "v1", "Pod"),
        GroupVersionKind("networking.istio.io", "v1", "Ingress"),
    ])
    func kindsOfOtherProjectsAreNotTakenForBuiltInOnes(_ kind: GroupVersionKind) {
        #expect(Schema.type(for: kind) == nil)
    }

    @Test func everyServedKindHasAType() {
        for resource in ResourceTable.builtIn.resources {
            #expect(resource.type?.shape == .object, "\(resource.groupVersionKind)")
            for part in resource.subresources where !part.kind.kind.hasSuffix("Options") {
                #expect(Schema.type(for: part.kind) != nil, "\(part.kind)")
            }
        }
        #expect(Schema.type(for: .init("apps", "v1beta1", "Deployment")) == nil)
        #expect(Schema.type(for: .init("", "v1", "Nonsense")) == nil)
    }

    @Test func definitionsAreFoundByName() throws {
        #expect(type(pod)?.definitionName == "io.k8s.api.core.v1.Pod")
        #expect(type(pod, "spec")?.definitionName == "io.k8s.api.core.v1.PodSpec")
        for name in Schema.definitionNames { #expect(Schema.type(named: name)?.definitionName == name) }
    }

    @Test func everyFieldIsFoundByItsName() throws {
        for name in Schema.definitionNames {
            let type = try #require(Schema.type(named: name))
            for field in type.fields { #expect(type.field(field.name) == field, "\(name).\(field.name)") }
            #expect(type.field("") == nil)
            #expect(type.field("zzz") == nil)
        }
    }

    @Test func shapesAreUpstreams() {
        #expect(type(pod, "spec", "containers")?.shape == .list)
        #expect(type(pod, "metadata", "labels")?.shape == .map)
        #expect(type(pod, "metadata", "labels", "[]")?.shape == .string)
        #expect(type(deployment, "spec", "replicas")?.shape == .integer)
        #expect(type(deployment, "spec", "replicas")?.format == .int32)
        #expect(type(service, "spec", "ports", "[]", "targetPort")?.shape == .intOrString)
        #expect(type(pod, "spec", "containers", "[]", "resources", "limits", "[]")?.shape == .quantity)
        #expect(type(pod, "metadata", "creationTimestamp")?.format == .dateTime)
        #expect(type(.init("coordination.k8s.io", "v1", "Lease"), "spec", "renewTime")?.format == .microTime)
        #expect(type(.init("", "v1", "Secret"), "data", "[]")?.format == .byte)
        #expect(type(pod, "spec", "hostNetwork")?.shape == .boolean)
        #expect(type(.init("apps", "v1", "ControllerRevision"), "data")?.shape == .any)
    }

    @Test func listsSayHowTheyMerge() {
        let ports = type(service, "spec", "ports")
        #expect(ports?.listType == .map(keys: ["port", "protocol"]))
        #expect(ports?.patchMergeKey == "port")
        #expect(ports?.patchStrategy == .merge)
        let containers = type(pod, "spec", "containers")
        #expect(containers?.listType == .map(keys: ["name"]))
        #expect(containers?.patchMergeKey == "name")
        #expect(type(pod, "spec", "volumes")?.patchStrategy == [.merge, .retainKeys])
        #expect(type(pod, "spec", "containers", "[]", "args")?.listType == .atomic)
        #expect(type(pod, "metadata", "finalizers")?.listType == .set)
        #expect(type(pod, "metadata", "finalizers")?.patchStrategy == .merge)
        #expect(type(deployment, "spec", "strategy")?.patchStrategy == .retainKeys)
        #expect(type(deployment, "spec", "selector")?.isMapAtomic == true)
        #expect(type(service, "spec", "selector")?.isMapAtomic == true)
        #expect(type(pod, "spec", "nodeSelector")?.isMapAtomic == true)
        #expect(type(pod, "metadata", "labels")?.isMapAtomic == false)
        #expect(type(pod, "spec", "tolerations")?.listType == .atomic)
    }

    @Test func requiredFieldsAndDefaultsAndEnums() {
        #expect(type(deployment, "spec")?.required == ["selector", "template"])
        #expect(type(pod, "spec")?.required == ["containers"])
        let port = type(pod, "spec", "containers", "[]", "ports", "[]")
        #expect(port?.field("protocol")?.default == "TCP")
        #expect(port?.field("hostIP")?.default == nil)
        #expect(type(pod, "spec", "restartPolicy")?.enumValues == ["Always", "Never", "OnFailure"])
        #expect(type(pod, "spec", "restartPolicy")?.scalarName == "v1.RestartPolicy")
        #expect(type(pod, "spec", "nodeName")?.enumValues == [])
    }

    @Test func protobufNumbersAreThoseOfGeneratedProto() {
        let spec = type(pod, "spec")
        #expect(spec?.field("volumes")?.protobufNumber == 1)
        #expect(spec?.field("containers")?.protobufNumber == 2)
        #expect(spec?.field("tolerations")?.protobufNumber == 22)
        // Volume inlines VolumeSource, which is message 2.
        let hostPath = type(pod, "spec", "volumes", "[]")?.field("hostPath")
        #expect(hostPath?.protobufNumber == 1)
        #expect(hostPath?.protobufPath == [2])
        #expect(type(pod)?.field("kind")?.protobufNumber == nil)
    }

    @Test func encodingsAreThoseOfGo() {
        #expect(type(deployment, "spec")?.field("replicas")?.encoding == [.pointer, .omitEmpty])
        #expect(type(deployment, "spec")?.field("template")?.encoding == .writtenWhenAbsent)
        #expect(type(pod)?.field("status")?.encoding == [.omitEmpty, .writtenWhenAbsent])
        #expect(type(pod, "spec")?.field("containers")?.encoding == .writtenWhenAbsent)
        #expect(type(pod, "spec")?.field("hostNetwork")?.encoding == .omitEmpty)
    }
}

struct CustomSchemaTests {
    private let schema = SchemaType(
        CustomSchema(openAPI: [
            "type": "object", "required": ["spec"],
            "properties": [
                "spec": [
                    "type": "object",
                    "properties": [
                        "size": ["type": "integer", "format": "int32", "default": 3],
                        "port": ["x-kubernetes-int-or-string": true],
                        "tags": ["type": "array", "items": ["type": "string"], "x-kubernetes-list-type": "set"],
                        "parts": [
                            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["id"],
                            "items": ["type": "object", "properties": ["id": ["type": "string"]]],
                        ],
                        "limits": ["type": "object", "additionalProperties": ["type": "string"]],
                        "free": ["type": "object", "x-kubernetes-preserve-unknown-fields": true],
                    ],
                ]
            ],
        ]))

    @Test func answersLikeABuiltInType() throws {
        let spec = try #require(schema.field("spec")?.type)
        #expect(schema.shape == .object)
        #expect(schema.required == ["spec"])
        #expect(schema.field("metadata")?.type == Schema.objectMeta)
        #expect(spec.field("size")?.type.format == .int32)
        #expect(spec.field("size")?.default == 3)
        #expect(spec.field("port")?.type.shape == .intOrString)
        #expect(spec.field("tags")?.type.listType == .set)
        #expect(spec.field("parts")?.type.listType == .map(keys: ["id"]))
        #expect(spec.field("parts")?.type.element?.field("id")?.type.shape == .string)
        #expect(spec.field("limits")?.type.element?.shape == .string)
        #expect(spec.field("free")?.type.preservesUnknownFields == true)
        #expect(spec.field("metadata") == nil)
        #expect(spec.patchStrategy == [])
        #expect(spec.definitionName == nil)
    }
}
