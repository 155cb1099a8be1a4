// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import Storage

@Suite struct ValueTreeTests {
    private func value(_ key: String, _ revision: Revision = 1) -> StoredValue {
        StoredValue(key: key, bytes: [], revision: revision)
    }

    /// Random changes, compared with a sorted dictionary all the way; versions taken on the way must not change.
    @Test(arguments: 0..<8)
    func agreesWithADictionary(seed: Int) {
        var random = LinearCongruential(state: UInt64(seed) &* 7_919 &+ 1)
        var tree = ValueTree()
        var model: [String: Revision] = [:]
        var versions: [(ValueTree, [String: Revision])] = []
        let range = [50, 500, 5_000][seed % 3]
        for step in 1...6_000 {
            let key = "/k/\(random.next() % UInt64(range))"
            // Phases of growing and of shrinking, so that nodes split and merge.
            if (step / 1_500).isMultiple(of: 2) ? random.next() % 4 > 0 : random.next() % 4 == 0 {
                #expect(tree.put(value(key, Revision(step)))?.revision == model[key])
                model[key] = Revision(step)
            } else {
                #expect(tree.remove(key)?.revision == model.removeValue(forKey: key))
            }
            if step % 750 == 0 { versions.append((tree, model)) }
        }
        versions.append((tree, model))
        for (tree, model) in versions { check(tree, model, &random) }
    }

    private func check(_ tree: ValueTree, _ model: [String: Revision], _ random: inout LinearCongruential) {
        let sorted = model.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
        var visited: [(String, Revision)] = []
        tree.forEach(prefix: "", after: nil) { value in
            visited.append((value.key, value.revision))
            return true
        }
        #expect(tree.count == model.count)
        #expect(visited.map(\.0) == sorted.map(\.key))
        #expect(visited.map(\.1) == sorted.map(\.value))
        for _ in 0..<50 {
            let key = "/k/\(random.next() % 600)"
            #expect(tree.get(key)?.revision == model[key])
            let below = sorted.map(\.key).filter { $0.hasPrefix(key) }
            #expect(tree.count(prefix: key) == below.count)
            var found: [String] = []
            tree.forEach(prefix: "/k/", after: key) { value in
                found.append(value.key)
                return found.count < 5
            }
            let after = sorted.map(\.key).filter { key.utf8.lexicographicallyPrecedes($0.utf8) }
            #expect(found == Array(after.prefix(5)))
        }
    }

    @Test func countsPrefixesThatEndInTheHighestByte() {
        var tree = ValueTree()
        for key in ["a", "a\u{10FFFF}", "a\u{10FFFF}b", "b"] { tree.put(value(key)) }
        #expect(tree.count(prefix: "a") == 3)
        #expect(tree.count(prefix: "a\u{10FFFF}") == 2)
        #expect(tree.count(prefix: "") == 4)
    }
}

/// Reproducible numbers (Knuth's MMIX constants).
struct LinearCongruential {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 33
    }
}
