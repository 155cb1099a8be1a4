// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

@Suite struct ProtobufDecodingTests {
    /// The JSON form of a core/v1 object whose message is `hex`, without kind and apiVersion.
    private func decode(_ kind: String, version: String = "v1", _ hex: String) throws -> JSON {
        let message = [UInt8](hex: hex)
        let type = Wire.text(1, version) + Wire.text(2, kind)
        var json = try KubeProtobuf.decode(KubeProtobuf.magic + Wire.bytes(1, type) + Wire.bytes(2, message))
        #expect(json["kind"]?.string == kind && json["apiVersion"]?.string == version)
        json["kind"] = nil
        json["apiVersion"] = nil
        return json
    }

    @Test(arguments: KubectlBody.all)
    func kubectlsBodiesMeanWhatKubectlPrints(_ body: KubectlBody) throws {
        let decoded = try KubeProtobuf.decode(body.bytes)
        let printed = try JSON.parse(body.json)
        let kind = try #require(KubeObject(printed).groupVersionKind)
        #expect(
            try ObjectRules.check(decoded, kind: kind, strictness: .strict).json
                == ObjectRules.check(printed, kind: kind, strictness: .strict).json)
    }

    @Test func fieldsOfInlinedMessagesLieInTheObjectAround() throws {
        // spec 2 { volumes 1 { name 1 "v", volumeSource 2 { emptyDir 2 {} } },
        //          containers 2 { name 1 "c", livenessProbe 10 { handler 1 { exec 1 { command 1 "x" } }, periodSeconds 4: 9 } } }
        let pod = try decode(
            "Pod", "12 19  0a 07 0a 01 76 12 02 12 00  12 0e 0a 01 63 52 09 0a 05 0a 03 0a 01 78 20 09")
        #expect(
            pod == [
                "spec": [
                    "volumes": [["name": "v", "emptyDir": [:]]],
                    "containers": [["name": "c", "livenessProbe": ["exec": ["command": ["x"]], "periodSeconds": 9]]],
                ]
            ])
    }

    @Test func numbersMayBeNegativeOrPacked() throws {
        // spec 2 { terminationGracePeriodSeconds 4: -1, securityContext 14 { supplementalGroups 4: packed 1, 300; 4: 7 } }
        let pod = try decode(
            "Pod", "12 14  20 ff ff ff ff ff ff ff ff ff 01  72 07 22 03 01 ac 02 20 07")
        #expect(pod["spec"]?["terminationGracePeriodSeconds"] == -1)
        #expect(pod["spec"]?["securityContext"]?["supplementalGroups"] == [1, 300, 7])
        let priority = try decode("PriorityClass", version: "scheduling.k8s.io/v1", "10 fb ff ff ff ff ff ff ff ff 01")
        #expect(priority == ["value": -5])
    }

    @Test func timesAreTextOfTheirPrecision() throws {
        // metadata 1 { creationTimestamp 8 { seconds 1: 1700000000, nanos 2: 5 } }
        let config = try decode("ConfigMap", "0a 0a 42 08 08 80 e2 cf aa 06 10 05")
        #expect(config["metadata"]?["creationTimestamp"] == "2023-11-14T22:13:20Z")
        // spec 2 { renewTime 4 { seconds 1: 1700000000, nanos 2: 5000 } }
        let lease = try decode(
            "Lease", version: "coordination.k8s.io/v1", "12 0b 22 09 08 80 e2 cf aa 06 10 88 27")
        #expect(lease["spec"]?["renewTime"] == "2023-11-14T22:13:20.000005Z")
        // The zero time is an empty message.
        #expect(try decode("ConfigMap", "0a 05 0a 01 61 42 00") == ["metadata": ["name": "a"]])
        #expect(throws: ProtobufError.self) { try decode("ConfigMap", "0a 0b 42 09 08 ff ff ff ff ff ff ff 7f") }
    }

    @Test func mapsHoldTextBytesAndQuantities() throws {
        // data 2 { key 1 "k", value 2 ff 00 }, stringData 4 { 1 "s", 2 "t" }, data again with the same key
        let secret = try decode(
            "Secret", "12 07 0a 01 6b 12 02 ff 00  22 06 0a 01 73 12 01 74  12 06 0a 01 6b 12 01 01")
        #expect(secret == ["data": ["k": "AQ=="], "stringData": ["s": "t"]])
        // spec 2 { hard 1 { 1 "cpu", 2 { string 1 "500m" } } }
        let quota = try decode("ResourceQuota", "12 0f 0a 0d 0a 03 63 70 75 12 06 0a 04 35 30 30 6d")
        #expect(quota == ["spec": ["hard": ["cpu": "500m"]]])
        // A value that is missing is the zero value.
        #expect(try decode("ConfigMap", "12 03 0a 01 6b") == ["data": ["k": ""]])
    }

    @Test func listsInsideMapsHaveAMessageAroundThem() throws {
        // spec 2 { extra 5 { 1 "s", 2 { items 1 "a", 1 "b" } } }
        let review = try decode(
            "SubjectAccessReview", version: "authorization.k8s.io/v1", "12 0d 2a 0b 0a 01 73 12 06 0a 01 61 0a 01 62")
        #expect(review == ["spec": ["extra": ["s": ["a", "b"]]]])
    }

    @Test func rawBytesAreJSONOrAnObjectInAnEnvelope() throws {
        // data 2 { raw 1 {"a":1} }, revision 3: 2
        let revision = try decode(
            "ControllerRevision", version: "apps/v1", "12 09 0a 07 7b 22 61 22 3a 31 7d 18 02")
        #expect(revision == ["data": ["a": 1], "revision": 2])
        let inner = try #require(KubectlBody.all.first).bytes
        let event = try decode(
            "WatchEvent", (Wire.text(1, "ADDED") + Wire.bytes(2, Wire.bytes(1, inner))).hex)
        #expect(event["object"]?["kind"] == "ConfigMap")
        #expect(throws: ProtobufError.self) {
            try decode("ControllerRevision", version: "apps/v1", "12 03 0a 01 7b")
        }
    }

    @Test func schemasOfCustomKindsHaveUnions() throws {
        let text = Wire.text(5, "string")
        // items 24 OrArray { schema 1 }, additionalProperties 30 OrBool { allows 1, schema 2 },
        // dependencies 32 { 1 "k", 2 OrStringArray { property 2 } }, default 8 JSON { raw 1 }, enum 20 JSON
        let message =
            Wire.bytes(24, Wire.bytes(1, text)) + Wire.bytes(30, [0x08, 0x01])
            + Wire.bytes(32, Wire.text(1, "k") + Wire.bytes(2, Wire.text(2, "p")))
            + Wire.bytes(8, Wire.text(1, "[1]")) + Wire.bytes(20, Wire.text(1, "null"))
        let version = Wire.bytes(4, Wire.bytes(1, message))
        let definition = try decode(
            "CustomResourceDefinition", version: "apiextensions.k8s.io/v1", Wire.bytes(2, Wire.bytes(7, version)).hex)
        let schema = definition["spec"]?["versions"]?[0]?["schema"]?["openAPIV3Schema"]
        #expect(
            schema == [
                "items": ["type": "string"], "additionalProperties": true, "dependencies": ["k": ["p"]],
                "default": [1], "enum": [nil],
            ])
    }

    @Test func unknownFieldsArePassedOver() throws {
        // 100 varint, 101 fixed64, 102 bytes, 103 group { 1 varint }, 104 fixed32
        let config = try decode(
            "ConfigMap",
            "a0 06 7f  a9 06 01 02 03 04 05 06 07 08  b2 06 01 00  bb 06 08 01 bc 06  c5 06 01 02 03 04  20 01")
        #expect(config == ["immutable": true])
    }

    @Test func typesComeFromTheEnvelopeOrTheURL() throws {
        let body = KubeProtobuf.magic + Wire.bytes(2, [])
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(body) }
        let json = try KubeProtobuf.decode(body, expecting: .init("apps", "v1", "Deployment"))
        #expect(json == ["kind": "Deployment", "apiVersion": "apps/v1"])
        // Every group has the options of meta/v1.
        let options = try decode("DeleteOptions", version: "apps/v1", "08 00 22 06 4f 72 70 68 61 6e")
        #expect(options == ["gracePeriodSeconds": 0, "propagationPolicy": "Orphan"])
        #expect(throws: ProtobufError.self) { try decode("Widget", version: "example.com/v1", "") }
    }
}

/// Writes protobuf fields for tests.
enum Wire {
    static func bytes(_ number: Int, _ value: [UInt8]) -> [UInt8] {
        varint(number << 3 | 2) + varint(value.count) + value
    }

    static func text(_ number: Int, _ value: String) -> [UInt8] { bytes(number, Array(value.utf8)) }

    static func varint(_ value: Int) -> [UInt8] {
        value < 128 ? [UInt8(value)] : [UInt8(value & 127 | 128)] + varint(value >> 7)
    }
}

extension [UInt8] {
    var hex: String { map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined() }
}
