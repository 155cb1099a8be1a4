// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

@Suite struct ProtobufEncodingTests {
    @Test(arguments: KubectlBody.all)
    func objectsSurviveTheWayThereAndBack(_ body: KubectlBody) throws {
        let printed = try JSON.parse(body.json)
        let kind = try #require(KubeObject(printed).groupVersionKind)
        let decoded = try KubeProtobuf.decode(try KubeProtobuf.encode(printed))
        #expect(try ObjectRules.check(decoded, kind: kind).json == ObjectRules.check(printed, kind: kind).json)
    }

    @Test func bytesAreThoseOfTheFormat() throws {
        let bytes = try KubeProtobuf.encode([
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": ["name": "a"], "data": ["k": "v"],
        ])
        // magic; typeMeta 1 { apiVersion 1 "v1", kind 2 "ConfigMap" };
        // raw 2 { metadata 1 { name 1 "a" }, data 2 { key 1 "k", value 2 "v" } }; 3 ""; 4 ""
        #expect(
            bytes
                == [UInt8](
                    hex: "6b387300 0a0f 0a02 7631 1209 436f6e6669674d6170 120d 0a03 0a0161 1206 0a016b 120176 1a00 2200"
                ))
    }

    /// Values of every shape in every field of every kind: what protobuf loses or moves would show.
    @Test(arguments: [
        GroupVersionKind("", "v1", "Pod"), .init("", "v1", "PersistentVolume"), .init("", "v1", "Node"),
        .init("", "v1", "Service"), .init("", "v1", "Event"), .init("apps", "v1", "StatefulSet"),
        .init("apps", "v1", "ControllerRevision"), .init("batch", "v1", "CronJob"),
        .init("autoscaling", "v2", "HorizontalPodAutoscaler"), .init("policy", "v1", "PodDisruptionBudget"),
        .init("networking.k8s.io", "v1", "NetworkPolicy"), .init("networking.k8s.io", "v1", "Ingress"),
        .init("coordination.k8s.io", "v1", "Lease"), .init("discovery.k8s.io", "v1", "EndpointSlice"),
        .init("storage.k8s.io", "v1", "CSINode"), .init("resource.k8s.io", "v1", "ResourceSlice"),
        .init("certificates.k8s.io", "v1", "CertificateSigningRequest"),
        .init("flowcontrol.apiserver.k8s.io", "v1", "FlowSchema"),
        .init("admissionregistration.k8s.io", "v1", "ValidatingAdmissionPolicy"),
        .init("authorization.k8s.io", "v1", "SubjectAccessReview"),
        .init("authentication.k8s.io", "v1", "TokenRequest"),
        .init("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
        .init("apiregistration.k8s.io", "v1", "APIService"), .init("", "v1", "Status"), .init("", "v1", "PodList"),
    ])
    func everyFieldSurvives(_ kind: GroupVersionKind) throws {
        let type = try #require(Schema.type(for: kind))
        var sample = Sample()
        var json = sample.value(type, depth: 0)
        json["kind"] = .string(kind.kind)
        json["apiVersion"] = .string(kind.groupVersion.description)
        #expect(try KubeProtobuf.decode(try KubeProtobuf.encode(json)) == json)
        #expect(sample.count > 8)
    }

    @Test func everyListHasItsMetadataInFieldOneAndItsItemsInFieldTwo() throws {
        let lists = Schema.definitionNames.filter { name in
            name.hasSuffix("List") && Schema.type(named: name)?.field("items")?.type.shape == .list
                && Schema.type(named: name)?.field("metadata") != nil
        }
        #expect(lists.count > 50)
        for name in lists {
            let type = try #require(Schema.type(named: name))
            #expect(type.field("metadata")?.protobufNumber == 1 && type.field("items")?.protobufNumber == 2, "\(name)")
        }
    }

    @Test func aListOfItemsIsTheListAsAWhole() throws {
        let items: [JSON] = [
            ["metadata": ["name": "a"], "data": ["k": "v"]], ["metadata": ["name": "b"], "immutable": true],
        ]
        let metadata: JSON = ["resourceVersion": "7", "remainingItemCount": 3]
        var encoder = try ProtobufListEncoder(of: .init("", "v1", "ConfigMap"), listKind: "ConfigMapList")
        for item in items { try encoder.append(item) }
        let list: JSON = [
            "kind": "ConfigMapList", "apiVersion": "v1", "metadata": metadata, "items": .array(items),
        ]
        let bytes = try encoder.finish(metadata: metadata)
        #expect(try bytes == KubeProtobuf.encode(list))
        #expect(try KubeProtobuf.decode(bytes) == list)
    }

    @Test func metadataAloneHasAFormForEveryKind() throws {
        let bytes = try KubeProtobuf.encode([
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": ["resourceVersion": "7"], "items": [["metadata": ["name": "a"]]],
        ])
        let message = Wire.bytes(1, Wire.text(2, "7")) + Wire.bytes(2, Wire.bytes(1, Wire.text(1, "a")))
        #expect(bytes.hex.contains(Wire.bytes(2, message).hex))
    }

    @Test func watchEventsAreFramed() throws {
        let frame = KubeProtobuf.watchFrame(type: "ADDED", object: Array(repeating: 7, count: 300))
        let length = frame[0..<4].reduce(0) { $0 << 8 | Int($1) }
        #expect(length == frame.count - 4)
        #expect(
            Array(frame[4...]) == Wire.text(1, "ADDED") + Wire.bytes(2, Wire.bytes(1, Array(repeating: 7, count: 300))))
    }

    @Test func customKindsAndWrongTypesAreRefused() {
        #expect(throws: ProtobufError.self) {
            try KubeProtobuf.encode(["kind": "Widget", "apiVersion": "example.com/v1"])
        }
        #expect(throws: ProtobufError.self) {
            try KubeProtobuf.encode(["kind": "ConfigMap", "apiVersion": "v1", "data": 3])
        }
        #expect(throws: ProtobufError.self) {
            try KubeProtobuf.encode(["kind": "Secret", "apiVersion": "v1", "data": ["k": "!"]])
        }
        #expect(!KubeProtobuf.supports(.init("example.com", "v1", "Widget")))
        #expect(KubeProtobuf.supports(.init("apps", "v1", "Deployment")))
    }

    @Test func base64GoesBothWays() {
        for count in 0..<70 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37 &+ count) }
            #expect(Base64.decode(Base64.encode(bytes[...])) == bytes)
        }
        #expect(Base64.decode("YQ==\n") == [0x61])
        #expect(Base64.decode("YQ=") == nil)
    }
}

/// Makes an object with a value in every field, each a different one.
private struct Sample {
    private(set) var count = 0
    /// Schemas contain themselves.
    private static let maximumDepth = 9

    mutating func value(_ type: SchemaType, depth: Int) -> JSON {
        count += 1
        switch type.shape {
        case .object:
            var object = JSONObject()
            for field in type.fields where field.protobufNumber != nil && depth < Self.maximumDepth {
                object[field.name] = value(field.type, depth: depth + 1)
            }
            return .object(object)
        case .list:
            return .array(type.element.map { [value($0, depth: depth + 1), value($0, depth: depth + 1)] } ?? [])
        case .map: return .object(["k\(count)": type.element.map { value($0, depth: depth + 1) } ?? .null])
        case .string: return .string(text(type.format))
        case .integer: return .int(type.format == .int32 ? -Int64(count) : Int64(count) << 33)
        case .number: return .double(Double(count) + 0.5)
        case .boolean: return true
        case .intOrString: return count % 2 == 0 ? .string("\(count)%") : .int(Int64(count))
        case .quantity: return .string("\(count)m")
        case .any: return union(type, depth: depth)
        }
    }

    private func text(_ format: SchemaType.Format) -> String {
        switch format {
        case .byte: Base64.encode("\(count)")
        case .dateTime: KubeTime(seconds: count * 86_399).text
        case .microTime: KubeTime(seconds: count, nanoseconds: count * 1000).microText
        default: "text \(count)"
        }
    }

    private mutating func union(_ type: SchemaType, depth: Int) -> JSON {
        switch type.special {
        case nil: ["raw": [.int(Int64(count)), nil, 1.5]]
        case .jsonSchemaOrBool: ["type": "string"]
        case .jsonSchemaOrArray: count % 2 == 0 ? [["type": "a"], ["type": "b"]] : ["type": "c"]
        case .jsonSchemaOrStrings: ["x", "y"]
        }
    }
}
