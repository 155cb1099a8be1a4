// SPDX-License-Identifier: Apache-2.0

/// Why bytes are not the protobuf form of an object, or an object has none.
package struct ProtobufError: Error, Hashable, Sendable, CustomStringConvertible {
    package let reason: String
    /// Where in the message the problem lies, in bytes from its beginning; nil while encoding.
    package let offset: Int?

    init(_ reason: String, at offset: Int? = nil) {
        self.reason = reason
        self.offset = offset
    }

    package var description: String { offset.map { "\(reason) (at byte \($0))" } ?? reason }
}

/// What a hostile message may cost.
enum ProtobufLimits {
    /// Messages within messages; the deepest kind of use, a CustomResourceDefinition's schema, needs three levels
    /// for one of its own.
    static let depth = 256
    /// Values of one body: an empty message costs two bytes on the wire but far more here.
    static let values = 1 << 20
}
