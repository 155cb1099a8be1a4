// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import JSON

/// The cases follow RFC 8259's grammar production by production, as the well-known conformance suites do.
@Suite struct JSONParserTests {
    static let accepted: [(String, JSON)] = [
        ("null", JSON.null), ("true", true), ("false", false), ("0", 0), ("-0", 0), ("-1", -1),
        ("9223372036854775807", .int(.max)), ("-9223372036854775808", .int(.min)), ("1.5", 1.5), ("1e3", 1000.0),
        ("1E+2", 100.0), ("123.456e-2", 1.23456), ("\"\"", ""), ("\"a b\"", "a b"), ("[]", []), ("[1,2]", [1, 2]),
        ("{}", [:]), ("{\"a\":1}", ["a": 1]), (" \t\r\n{ \"a\" : [ 1 , null ] } \n", ["a": [1, nil]]),
        ("[[[[]]]]", [[[[]]]]), ("{\"\":0}", ["": 0]), ("\"\\u0000\"", "\u{0}"), ("\"\u{7F}\"", "\u{7F}"),
        ("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\u{8}\u{C}\n\r\t"), ("\"\\u00e9\"", "é"), ("\"é€😀\"", "é€😀"),
        ("\"\\uD83D\\uDE00\"", "😀"), ("\"\\uFFFF\"", "\u{FFFF}"), ("[\"\u{2028}\"]", ["\u{2028}"]),
    ]

    @Test(arguments: accepted)
    func accepts(text: String, value: JSON) throws {
        #expect(try JSON.parse(text) == value)
    }

    @Test(arguments: [
        "", " ", "nul", "truE", "nullx", "01", "-", "-01", "1.", ".5", "+1", "1e", "1e+", "0x1", "NaN", "Infinity",
        "1 2", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "[1,,2]", "{", "}", "{\"a\"", "{\"a\":", "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,}", "{,}", "{a:1}", "{'a':1}", "{1:1}", "{\"a\" 1}", "{\"a\":1 \"b\":2}", "[1]x",
        "\"", "\"a", "'a'", "\"\\\"", "\"\\x\"", "\"\\u12\"", "\"\\u12G4\"", "\"\t\"", "\"\n\"", "\"\u{1F}\"", "// a",
        "/* */ 1", "[1]\u{0}", "\u{FEFF}1", "\u{A0}1", "{\"a\":1}}", "[]]", "1e400", "-1e400",
    ])
    func rejects(text: String) {
        #expect(throws: JSONError.self) { try JSON.parse(text) }
    }

    @Test(arguments: [
        [0x22, 0xFF, 0x22], [0x22, 0xC0, 0xAF, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0x22, 0xE2, 0x82, 0x22],
        [0x22, 0x5C, 0x6E, 0x80, 0x22], [0xFE, 0xFF], [0x00], [0x22, 0xF4, 0x90, 0x80, 0x80, 0x22],
    ])
    func rejectsBytesThatAreNotUTF8(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSON.parse(bytes) }
    }

    @Test func replacesLoneSurrogatesAsGoDoes() throws {
        #expect(try JSON.parse("\"\\uD800\"") == "\u{FFFD}")
        #expect(try JSON.parse("\"\\uDC00x\"") == "\u{FFFD}x")
        #expect(try JSON.parse("\"\\uD800\\u0041\"") == "\u{FFFD}A")
        #expect(try JSON.parse("\"\\uD800\\n\"") == "\u{FFFD}\n")
    }

    @Test func keepsTheOrderOfMembersAndTheLastOfDuplicates() throws {
        let object = try #require(try JSON.parse("{\"b\":1,\"a\":2,\"b\":3}").object)
        #expect(object.keys == ["b", "a"])
        #expect(object["b"] == 3)
    }

    @Test func reportsTheDuplicatesPaths() throws {
        var options = JSON.ParseOptions()
        options.reportsDuplicates = true
        var duplicates: [JSON.DuplicateMember] = []
        let text = "{\"a\":1,\"a\":2,\"spec\":{\"list\":[{},{\"x\":1,\"x\":1}]}}"
        _ = try JSON.parse(Array(text.utf8), options: options, duplicates: &duplicates)
        #expect(duplicates.map(\.path) == ["a", "spec.list[1].x"])
        #expect(duplicates.map(\.position) == [1, 1])
    }

    @Test func refusesDeepNestingInsteadOfExhaustingTheStack() {
        let depth = JSON.ParseOptions().maximumDepth
        let fine = String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
        #expect(throws: Never.self) { try JSON.parse(fine) }
        #expect(throws: JSONError.self) { try JSON.parse("[" + fine + "]") }
        #expect(throws: JSONError.self) { try JSON.parse(String(repeating: "[", count: 100_000)) }
        #expect(throws: JSONError.self) { try JSON.parse(String(repeating: "{\"a\":", count: 100_000)) }
    }

    @Test func tellsWhereAndWhy() {
        do {
            _ = try JSON.parse("{\n  \"a\": x\n}")
            Issue.record("must be refused")
        } catch {
            #expect(error.reason == "invalid character 'x' looking for beginning of value")
            #expect(error.line == 2)
            #expect(error.column == 8)
            #expect(error.offset == 9)
        }
    }

    /// Mutations of a valid text never crash, and what is accepted reads back the same.
    @Test func survivesMutations() throws {
        let seed = Array(
            """
            {"apiVersion":"v1","metadata":{"name":"a\\u00e9\\n","labels":{"k":"v"}},"n":[1,-2.5e3,true,null,"😀"]}
            """.utf8)
        var generator = SplitMix(state: 42)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0...Int(generator.next() % 4) {
                let index = Int(generator.next() % UInt64(bytes.count))
                switch generator.next() % 3 {
                case 0: bytes[index] = UInt8(truncatingIfNeeded: generator.next())
                case 1: bytes.remove(at: index)
                default: bytes.insert(bytes[Int(generator.next() % UInt64(bytes.count))], at: index)
                }
            }
            guard let value = try? JSON.parse(bytes) else { continue }  // a refusal is a fine answer
            #expect(try JSON.parse(value.serialized()) == withWholeNumbersAsIntegers(value))
        }
    }

    /// What is left of a value on the way through its text: `-2.5e3` is written as `-2500`, as Go does.
    private func withWholeNumbersAsIntegers(_ value: JSON) -> JSON {
        switch value {
        case .double(let number):
            Int64(exactly: number).flatMap { abs(number) < 1e15 ? .int($0) : nil } ?? value
        case .array(let elements): .array(elements.map(withWholeNumbersAsIntegers))
        case .object(let object):
            .object(
                object.reduce(into: JSONObject()) { $0[$1.key] = withWholeNumbersAsIntegers($1.value) })
        default: value
        }
    }
}

/// A small deterministic generator, so that a failure can be repeated.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}

@Suite struct JSONSerializerTests {
    static let texts: [(JSON, String)] = [
        (JSON.null, "null"), (true, "true"), (1, "1"), (1.0, "1"), (0.1, "0.1"), (1e21, "1e+21"), (-2.5, "-2.5"),
        ("a\"\\\n\u{1}é", "\"a\\\"\\\\\\n\\u0001é\""), (["b": [1, [:]], "a": []], "{\"b\":[1,{}],\"a\":[]}"),
    ]

    @Test(arguments: texts)
    func writesCompactText(value: JSON, text: String) {
        #expect(value.text() == text)
    }

    @Test func indentsForPeople() {
        let value: JSON = ["a": [1, 2], "b": [:], "c": []]
        #expect(
            value.text(indented: true) == """
                {
                  "a": [
                    1,
                    2
                  ],
                  "b": {},
                  "c": []
                }
                """)
    }
}

@Suite struct JSONAccessTests {
    @Test func setsAndRemovesAlongPaths() {
        var value = JSON.null
        value["metadata", "labels", "app"] = "web"
        #expect(value == ["metadata": ["labels": ["app": "web"]]])
        value["metadata", "labels", "app"] = nil
        #expect(value == ["metadata": ["labels": [:]]])
        value["missing", "child"] = nil
        #expect(value == ["metadata": ["labels": [:]]])
    }

    @Test func comparesObjectsWhateverTheOrder() throws {
        let one = try JSON.parse("{\"a\":1,\"b\":2}")
        let two = try JSON.parse("{\"b\":2,\"a\":1}")
        #expect(one == two)
        #expect(one.hashValue == two.hashValue)
        #expect(one != ["a": 1])
    }

    @Test func findsMembersInLargeObjectsToo() {
        var object = JSONObject()
        for index in 0..<1000 { object["key\(index)"] = JSON(index) }
        #expect(object["key777"] == 777)
        object["key777"] = nil
        #expect(object["key777"] == nil)
        #expect(object["key778"] == 778)
        #expect(object.count == 999)
        object["key1"] = "changed"
        #expect(object["key1"] == "changed")
    }

    @Test(arguments: [5, 23, 24, 25, 60])
    func removesMembersWhereverTheyAre(count: Int) {
        func object(_ numbers: some Sequence<Int>) -> JSONObject {
            JSONObject(numbers.map { (key: "k\($0)", value: JSON($0)) })
        }
        for removed in 0..<count {
            var single = object(0..<count)
            single["k\(removed)"] = nil
            var several = object(0..<count)
            several.removeValues(forKeys: ["k\(removed)", "absent", "k0"])
            let left = (0..<count).filter { $0 != removed }
            #expect(single.keys == left.map { "k\($0)" })
            #expect(left.allSatisfy { single["k\($0)"] == JSON($0) })
            #expect(single["k\(removed)"] == nil)
            #expect(several.keys == left.filter { $0 != 0 }.map { "k\($0)" })
            #expect(left.allSatisfy { $0 == 0 || several["k\($0)"] == JSON($0) })
        }
    }

    @Test func tellsKeysApartThatOnlyLookTheSame() throws {
        let object = try #require(try JSON.parse("{\"\u{E9}\":1,\"e\u{301}\":2}").object)
        #expect(object.count == 2)
    }
}
