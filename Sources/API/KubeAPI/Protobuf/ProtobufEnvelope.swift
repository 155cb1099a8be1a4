// SPDX-License-Identifier: Apache-2.0

package import JSON

/// Objects in the form of `application/vnd.kubernetes.protobuf`: four magic bytes, then a `runtime.Unknown` message
/// that holds the object's type and its own message (apimachinery/pkg/runtime/serializer/protobuf).
package enum KubeProtobuf {
    /// The media type of single objects and lists.
    package static let mediaType = "application/vnd.kubernetes.protobuf"

    /// `k8s` and a zero byte.
    static let magic: [UInt8] = [0x6B, 0x38, 0x73, 0x00]

    /// Whether a body claims to be in this form.
    static func hasMagic(_ bytes: ArraySlice<UInt8>) -> Bool { bytes.starts(with: magic) }

    /// Whether objects of a kind have a protobuf form; those of custom kinds have none.
    package static func supports(_ kind: GroupVersionKind) -> Bool { Schema.type(for: kind)?.definition != nil }

    /// The JSON form of a body, with `kind` and `apiVersion`.
    ///
    /// Zero values are left out as Go's JSON encoder leaves them out; unknown fields are dropped as upstream's
    /// decoder drops them.
    /// - Parameter expected: the kind where the body itself says none, which the URL implies.
    /// - Throws: what is wrong with the body, in the words of Go's decoder where it has some.
    package static func decode(_ body: [UInt8], expecting expected: GroupVersionKind? = nil) throws(ProtobufError)
        -> JSON
    {
        var decoder = ProtobufDecoder()
        return try decoder.decodeEnvelope(ProtobufReader(body), expecting: expected, depth: 0)
    }
}

/// The fields of a `runtime.Unknown` message.
struct ProtobufEnvelope {
    var apiVersion = ""
    var kind = ""
    var raw = ProtobufReader([])

    init(_ reader: ProtobufReader) throws(ProtobufError) {
        guard KubeProtobuf.hasMagic(reader.rest) else {
            throw reader.failure(
                "provided data does not appear to be a protobuf message, expected prefix \(KubeProtobuf.magic)")
        }
        var reader = reader.dropping(KubeProtobuf.magic.count)
        while let (number, type) = try reader.tag() {
            switch number {
            case 1: try readType(try reader.message(type))
            case 2: raw = try reader.message(type)
            default: try reader.skip(type)
            }
        }
    }

    private mutating func readType(_ reader: ProtobufReader) throws(ProtobufError) {
        var reader = reader
        while let (number, type) = try reader.tag() {
            switch number {
            case 1: apiVersion = try reader.text(type)
            case 2: kind = try reader.text(type)
            default: try reader.skip(type)
            }
        }
    }
}
