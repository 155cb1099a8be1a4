// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage
import Synchronization

/// An object's bytes before the sequencer writes the revision into them.
struct EncodedObject: Sendable {
    var bytes: [UInt8]
    /// Where the digits of `metadata.resourceVersion` belong.
    var revisionOffset: Int

    /// What comes before the digits.
    static let member = "\"resourceVersion\":\""

    /// The bytes with a revision, or without the member for an object that is not stored (a dry run).
    func bytes(at revision: Revision?) -> [UInt8] {
        var result = bytes
        guard let revision else {
            let first = revisionOffset - Self.member.utf8.count
            let hasNext = bytes[revisionOffset + 1] == UInt8(ascii: ",")
            let hasPrevious = bytes[first - 1] == UInt8(ascii: ",")
            result.removeSubrange(
                (hasPrevious && !hasNext ? first - 1 : first)..<(hasNext ? revisionOffset + 2 : revisionOffset + 1))
            return result
        }
        result.insert(contentsOf: String(revision).utf8, at: revisionOffset)
        return result
    }
}

/// Turns objects into the bytes that are stored and served, and back.
///
/// Every stored object begins `{"kind":"K","apiVersion":"V",`, which lists cut off and the metadata follows at once,
/// with
/// an empty `resourceVersion` that the sequencer fills in.
enum ObjectCodec {
    /// The order in which upstream writes metadata; other members follow.
    private static let metadataBeforeVersion = ["name", "generateName", "namespace", "selfLink", "uid"]

    static func encode(_ object: KubeObject) -> EncodedObject {
        var bytes = header(apiVersion: object.apiVersion, kind: object.kind)
        bytes.reserveCapacity(1024)
        let metadata = object.json["metadata"]?.members ?? [:]
        bytes.append(contentsOf: "\"metadata\":{".utf8)
        for key in metadataBeforeVersion {
            guard let value = metadata[key] else { continue }
            append(key, value, to: &bytes)
            bytes.append(UInt8(ascii: ","))
        }
        bytes.append(contentsOf: EncodedObject.member.utf8)
        let offset = bytes.count
        bytes.append(UInt8(ascii: "\""))
        for (key, value) in metadata where key != "resourceVersion" && !metadataBeforeVersion.contains(key) {
            bytes.append(UInt8(ascii: ","))
            append(key, value, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        for (key, value) in object.json.members where key != "kind" && key != "apiVersion" && key != "metadata" {
            bytes.append(UInt8(ascii: ","))
            append(key, value, to: &bytes)
        }
        bytes.append(UInt8(ascii: "}"))
        return EncodedObject(bytes: bytes, revisionOffset: offset)
    }

    /// `{"kind":"K","apiVersion":"V",`: how the bytes of all objects of a type begin.
    static func header(apiVersion: String, kind: String) -> [UInt8] {
        Array("{\"kind\":\"\(kind)\",\"apiVersion\":\"\(apiVersion)\",".utf8)
    }

    private static func append(_ key: String, _ value: JSON, to bytes: inout [UInt8]) {
        JSON.serialize(key, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        value.serialize(into: &bytes)
    }
}

/// Decodes stored objects, and remembers the last few: an event that many watchers filter is decoded once.
final class StoredObjectDecoder: Sendable {
    /// Decoded trees are large; only those of the current burst of events are worth keeping.
    private static let capacity = 32

    private struct Recent {
        var objects: [Revision: KubeObject] = [:]
        var order: [Revision] = []
        var next = 0
    }

    private let recent = Mutex(Recent())

    /// Decodes without remembering: for lists and single reads.
    static func decode(_ value: StoredValue) throws(StatusError) -> KubeObject {
        do throws(JSONError) {
            return KubeObject(try JSON.parse(value.bytes))
        } catch {
            throw .internalError("the stored object \(value.key) is damaged: \(error)")
        }
    }

    /// Decodes the value of a change that several may look at.
    func decodeShared(_ value: StoredValue) throws(StatusError) -> KubeObject {
        if let known = recent.withLock({ $0.objects[value.revision] }) { return known }
        let object = try Self.decode(value)
        recent.withLock { recent in
            guard recent.objects.updateValue(object, forKey: value.revision) == nil else { return }
            if recent.order.count < Self.capacity {
                recent.order.append(value.revision)
            } else {
                recent.objects[recent.order[recent.next]] = nil
                recent.order[recent.next] = value.revision
                recent.next = (recent.next + 1) % Self.capacity
            }
        }
        return object
    }
}
