// SPDX-License-Identifier: Apache-2.0

/// A value of D-Bus's type system (D-Bus specification, "Type System").
package indirect enum BusValue: Hashable, Sendable {
    case byte(UInt8)
    case boolean(Bool)
    case int16(Int16)
    case uint16(UInt16)
    case int32(Int32)
    case uint32(UInt32)
    case int64(Int64)
    case uint64(UInt64)
    case double(Double)
    case string(String)
    case objectPath(String)
    case signature(String)
    /// A file descriptor that came with a message; ``BusMessage/takeDescriptor()`` gives it.
    case descriptor
    /// The elements, and the signature of each.
    case array(of: String, [BusValue])
    case structure([BusValue])
    /// An entry of a dictionary, which is an array of them.
    case entry(key: BusValue, value: BusValue)
    case variant(BusValue)

    /// Its type's signature, `a(sv)`.
    package var signature: String {
        switch self {
        case .byte: "y"
        case .boolean: "b"
        case .int16: "n"
        case .uint16: "q"
        case .int32: "i"
        case .uint32: "u"
        case .int64: "x"
        case .uint64: "t"
        case .double: "d"
        case .string: "s"
        case .objectPath: "o"
        case .signature: "g"
        case .descriptor: "h"
        case .array(let element, _): "a\(element)"
        case .structure(let fields): "(\(fields.map(\.signature).joined()))"
        case .entry(let key, let value): "{\(key.signature)\(value.signature)}"
        case .variant: "v"
        }
    }

    /// A property as systemd's manager takes them: `(sv)`.
    package static func property(_ name: String, _ value: BusValue) -> BusValue {
        .structure([.string(name), .variant(value)])
    }

    /// The text of a string, object path or signature.
    package var text: String? {
        switch self {
        case .string(let text), .objectPath(let text), .signature(let text): text
        default: nil
        }
    }

    package var flag: Bool? { if case .boolean(let flag) = self { flag } else { nil } }
    package var uint64: UInt64? { if case .uint64(let number) = self { number } else { nil } }
    /// What a variant holds; of another value itself.
    package var unwrapped: BusValue { if case .variant(let inner) = self { inner.unwrapped } else { self } }
}
