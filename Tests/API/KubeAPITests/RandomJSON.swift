// SPDX-License-Identifier: Apache-2.0

import JSON

/// A reproducible source of random JSON for fuzzing.
struct RandomJSON: RandomNumberGenerator {
    private var state: UInt64
    /// The member names to draw from.
    var keys = ["a", "b", "name", "spec", "containers", "ports", "$patch", "0", "metadata", "labels"]

    init(seed: UInt64) { state = seed }

    /// SplitMix64.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func number(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    mutating func pick(_ choices: [String]) -> String { choices[number(choices.count)] }

    mutating func pointer() -> String {
        (0..<number(4)).map { _ in "/" + pick(keys + ["-", "-1", "1", "~0"]) }.joined()
    }

    mutating func value(depth: Int) -> JSON {
        switch number(depth > 0 ? 9 : 6) {
        case 0: return .null
        case 1: return .bool(number(2) == 0)
        case 2: return .int(Int64(number(3)))
        case 3: return .double(0.5)
        case 4, 5: return .string(pick(["x", "y", "delete", "replace", "merge", ""]))
        case 6: return .array((0..<number(4)).map { _ in value(depth: depth - 1) })
        default:
            var object = JSONObject()
            for _ in 0..<number(5) { object[pick(keys)] = value(depth: depth - 1) }
            return .object(object)
        }
    }
}
