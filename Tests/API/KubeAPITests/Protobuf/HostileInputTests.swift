// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

@Suite struct ProtobufHostileInputTests {
    /// Nothing that a client sends may trap; what decodes is still JSON.
    @Test(arguments: KubectlBody.all)
    func mutatedBodiesDecodeOrFail(_ body: KubectlBody) throws {
        var random = RandomJSON(seed: UInt64(body.bytes.count))
        var decoded = 0
        for _ in 0..<1000 {
            var bytes = body.bytes
            for _ in 0...random.number(4) { Self.mutate(&bytes, &random) }
            do throws(ProtobufError) {
                let json = try KubeProtobuf.decode(bytes)
                #expect((try? JSON.parse(json.text())) == json)
                decoded += 1
            } catch {
                #expect(!error.reason.isEmpty)
            }
        }
        #expect(decoded > 0 && decoded < 1000)
    }

    private static func mutate(_ bytes: inout [UInt8], _ random: inout RandomJSON) {
        guard bytes.count > 5 else { return }
        let place = 4 + random.number(bytes.count - 4)
        switch random.number(5) {
        case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 1: bytes[place] ^= 1 << UInt8(random.number(8))
        case 2: bytes.remove(at: place)
        case 3: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
        default: bytes.removeSubrange(place...)
        }
    }

    @Test func everyPrefixOfABodyDecodesOrFails() throws {
        for body in KubectlBody.all {
            for count in body.bytes.indices {
                do throws(ProtobufError) {
                    _ = try KubeProtobuf.decode(Array(body.bytes[..<count]))
                } catch {
                    #expect(!error.reason.isEmpty)
                }
            }
        }
    }

    @Test(arguments: [
        "", "7b7d", "6b3873", "6b387301", "6b387300 0a", "6b387300 0a ff ff ff ff ff ff ff ff ff ff 01",
        "6b387300 0a ff ff ff ff ff ff ff ff 7f", "6b387300 00", "6b387300 0f", "6b387300 0c",
        "6b387300 0a 0f 0a 02 76 31 12 09 43 6f 6e 66 69 67 4d 61 70 12 02 08 01",
    ])
    func brokenBodiesAreRefused(_ hex: String) {
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode([UInt8](hex: hex)) }
    }

    private static func body(_ kind: String, _ version: String, _ message: [UInt8]) -> [UInt8] {
        KubeProtobuf.magic + Wire.bytes(1, Wire.text(1, version) + Wire.text(2, kind)) + Wire.bytes(2, message)
    }

    @Test func depthIsBounded() throws {
        // JSONSchemaProps.not (28) holds a schema in turn.
        func definition(_ levels: Int) -> [UInt8] {
            var schema: [UInt8] = []
            for _ in 0..<levels { schema = Wire.bytes(28, schema) }
            let version = Wire.bytes(4, Wire.bytes(1, schema))
            return Self.body(
                "CustomResourceDefinition", "apiextensions.k8s.io/v1", Wire.bytes(2, Wire.bytes(7, version)))
        }
        _ = try KubeProtobuf.decode(definition(200))
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(definition(ProtobufLimits.depth)) }
        // Unions lead back to schemas too: items (24) { schema (1) }.
        var schema: [UInt8] = []
        for _ in 0..<5000 { schema = Wire.bytes(24, Wire.bytes(1, schema)) }
        let version = Wire.bytes(4, Wire.bytes(1, schema))
        let deep = Self.body(
            "CustomResourceDefinition", "apiextensions.k8s.io/v1", Wire.bytes(2, Wire.bytes(7, version)))
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(deep) }
        // An envelope in an envelope in an envelope.
        var event = Self.body("ConfigMap", "v1", [])
        for _ in 0..<2000 { event = Self.body("WatchEvent", "v1", Wire.bytes(2, Wire.bytes(1, event))) }
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(event) }
        // Groups.
        let groups = Self.body("ConfigMap", "v1", (0..<4000).flatMap { _ -> [UInt8] in [0x9B, 0x06] })
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(groups) }
    }

    @Test func theNumberOfValuesIsBounded() {
        var empties: [UInt8] = []
        for _ in 0...ProtobufLimits.values { empties += [0x0A, 0x00] }
        // spec 2 { volumes 1 {} ... }
        let pod = Self.body("Pod", "v1", Wire.bytes(2, empties))
        #expect(throws: ProtobufError.self) { try KubeProtobuf.decode(pod) }
    }
}
