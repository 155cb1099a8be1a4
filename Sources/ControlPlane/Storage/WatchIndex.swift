// SPDX-License-Identifier: Apache-2.0

/// The watches of a store by prefix: finds those for a key without looking at all of them.
///
/// The distinct prefixes are kept sorted, each with the longest other one that it begins with. Every prefix of a key
/// is on the chain that begins at the key's predecessor in that order: for a prefix q of a key k and a prefix p
/// with q <= p <= k, p begins with q as well.
struct WatchIndex<Element> {
    private struct Group {
        let prefix: String
        var elements: [ObjectIdentifier: Element]
        var parent: Int?
    }

    private var groups: [Group] = []

    var isEmpty: Bool { groups.isEmpty }
    var elements: [Element] { groups.flatMap(\.elements.values) }

    mutating func add(_ element: Element, id: ObjectIdentifier, prefix: String) {
        let index = insertionIndex(of: prefix)
        if index < groups.count, groups[index].prefix.utf8.elementsEqual(prefix.utf8) {
            groups[index].elements[id] = element
        } else {
            groups.insert(Group(prefix: prefix, elements: [id: element], parent: nil), at: index)
            findParents()
        }
    }

    mutating func remove(id: ObjectIdentifier, prefix: String) {
        let index = insertionIndex(of: prefix)
        guard index < groups.count, groups[index].prefix.utf8.elementsEqual(prefix.utf8) else { return }
        groups[index].elements[id] = nil
        if groups[index].elements.isEmpty {
            groups.remove(at: index)
            findParents()
        }
    }

    /// Visits the elements whose prefix the key has.
    func forEach(matching key: String, _ body: (Element) -> Void) {
        var next = predecessor(of: key)
        while let index = next {
            let group = groups[index]
            if KeyOrder.hasPrefix(key, group.prefix) {
                for element in group.elements.values { body(element) }
            }
            next = group.parent
        }
    }

    /// The first group that is not before `prefix`.
    private func insertionIndex(of prefix: String) -> Int {
        var (low, high) = (0, groups.count)
        while low < high {
            let middle = (low + high) / 2
            if KeyOrder.compare(groups[middle].prefix, prefix) < 0 { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// The last group that is not after `key`.
    private func predecessor(of key: String) -> Int? {
        let index = insertionIndex(of: key)
        if index < groups.count, groups[index].prefix.utf8.elementsEqual(key.utf8) { return index }
        return index > 0 ? index - 1 : nil
    }

    private mutating func findParents() {
        for index in groups.indices {
            var candidate = index > 0 ? index - 1 : nil
            while let parent = candidate, !KeyOrder.hasPrefix(groups[index].prefix, groups[parent].prefix) {
                candidate = groups[parent].parent
            }
            groups[index].parent = candidate
        }
    }
}
