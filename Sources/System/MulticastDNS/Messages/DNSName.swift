// SPDX-License-Identifier: Apache-2.0

/// A domain name: labels of bytes, compared without regard to the case of ASCII letters (RFC 1035, 2.3.3 and 3.1).
package struct DNSName: Sendable, CustomStringConvertible {
    /// The most bytes of a label.
    package static let labelLimit = 63
    /// The most bytes of a name with the length of each label and the root.
    package static let limit = 255

    package let labels: [[UInt8]]

    /// Nil for an empty label, or one or a whole that is too long.
    package init?(labels: [[UInt8]]) {
        guard labels.allSatisfy({ (1...Self.labelLimit).contains($0.count) }),
            labels.reduce(1, { $0 + $1.count + 1 }) <= Self.limit
        else { return nil }
        self.labels = labels
    }

    /// Reads labels separated by dots, `pi.local`; a dot at the end is optional. There are no escapes.
    package init?(_ text: String) {
        var text = text[...]
        if text.hasSuffix(".") { text = text.dropLast() }
        self.init(labels: text.split(separator: ".", omittingEmptySubsequences: false).map { Array($0.utf8) })
    }

    /// The name below this one with a label that may contain dots: an instance of a service (RFC 6763, 4.1).
    package func child(_ label: String) -> DNSName? { DNSName(labels: [Array(label.utf8)] + labels) }

    package var description: String {
        labels.map { String(decoding: $0, as: UTF8.self) }.joined(separator: ".")
    }

    private static func folded(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }
}

extension DNSName: Hashable {
    package static func == (left: DNSName, right: DNSName) -> Bool {
        left.labels.count == right.labels.count
            && zip(left.labels, right.labels).allSatisfy { left, right in
                left.count == right.count && zip(left, right).allSatisfy { folded($0) == folded($1) }
            }
    }

    package func hash(into hasher: inout Hasher) {
        for label in labels {
            hasher.combine(label.count)
            for byte in label { hasher.combine(Self.folded(byte)) }
        }
    }
}
