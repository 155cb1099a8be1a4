// SPDX-License-Identifier: Apache-2.0

import CSystemd
package import LinuxSystem

/// A received message. It belongs to one thread, that of its connection.
package final class BusMessage {
    /// Bounds of what is taken from one message: those that are read here have a handful of values.
    enum Limits {
        static let values = 4096
        static let depth = 16
    }

    private let message: OpaquePointer

    /// Takes over a reference.
    init(owning message: OpaquePointer) { self.message = message }

    deinit { sd_bus_message_unref(message) }

    /// The object that sent a signal.
    package var path: String { Self.text(sd_bus_message_get_path(message)) }
    package var interface: String { Self.text(sd_bus_message_get_interface(message)) }
    /// The signal's name.
    package var member: String { Self.text(sd_bus_message_get_member(message)) }

    package var isSignal: Bool {
        var type: UInt8 = 0
        return sd_bus_message_get_type(message, &type) >= 0 && type == UInt8(SD_BUS_MESSAGE_SIGNAL)
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }

    // MARK: Reading

    /// All arguments.
    ///
    /// - Throws: ``BusError`` for a message that is not what its signature says, or that holds more than anybody sends.
    package func values() throws(BusError) -> [BusValue] {
        try busCall("reading a message", sd_bus_message_rewind(message, 1))
        var room = Limits.values
        return try readAll(depth: 0, &room)
    }

    /// The first argument that is a file descriptor, as one of the caller's own.
    package func takeDescriptor() throws(BusError) -> FileDescriptor {
        try busCall("reading a message", sd_bus_message_rewind(message, 1))
        var room = Limits.values
        while let (type, contents) = try next() {
            guard type == UInt8(ascii: "h") else {
                _ = try read(type, contents, depth: 0, &room)
                continue
            }
            var number: CInt = -1
            // It stays the message's.
            try busCall("reading a descriptor", sd_bus_message_read_basic(message, CChar(type), &number))
            do { return try FileDescriptor.duplicate(number) } catch {
                throw BusError("reading a descriptor", result: -error.errno)
            }
        }
        throw BusError("reading a descriptor", name: "System.Error.EBADMSG", message: "the reply has none")
    }

    /// The type of what comes next, and what it contains; nil at the end of the message or container.
    private func next() throws(BusError) -> (type: UInt8, contents: String)? {
        var type: CChar = 0
        var contents: UnsafePointer<CChar>?
        let isMore = try busCall("reading a message", sd_bus_message_peek_type(message, &type, &contents))
        return isMore == 0 ? nil : (UInt8(bitPattern: type), contents.map { String(cString: $0) } ?? "")
    }

    private func readAll(depth: Int, _ room: inout Int) throws(BusError) -> [BusValue] {
        var values: [BusValue] = []
        while let (type, contents) = try next() { values.append(try read(type, contents, depth: depth, &room)) }
        return values
    }

    private func read(
        _ type: UInt8, _ contents: String, depth: Int, _ room: inout Int
    ) throws(BusError) -> BusValue {
        room -= 1
        guard room >= 0, depth < Limits.depth else {
            throw BusError("reading a message", name: "System.Error.E2BIG", message: "it holds too much")
        }
        switch type {
        case UInt8(ascii: "a"):
            return .array(of: contents, try readContainer(type, contents, depth, &room))
        case UInt8(ascii: "r"), UInt8(ascii: "("):
            return .structure(try readContainer(type, contents, depth, &room))
        case UInt8(ascii: "v"), UInt8(ascii: "e"), UInt8(ascii: "{"):
            let inner = try readContainer(type, contents, depth, &room)
            if type == UInt8(ascii: "v"), inner.count == 1 { return .variant(inner[0]) }
            if type != UInt8(ascii: "v"), inner.count == 2 { return .entry(key: inner[0], value: inner[1]) }
            throw BusError("reading a message", name: "System.Error.EBADMSG")
        case UInt8(ascii: "s"): return .string(try readText(type))
        case UInt8(ascii: "o"): return .objectPath(try readText(type))
        case UInt8(ascii: "g"): return .signature(try readText(type))
        case UInt8(ascii: "h"):
            _ = try readFixed(type, CInt(0))
            return .descriptor
        case UInt8(ascii: "b"): return .boolean(try readFixed(type, CInt(0)) != 0)
        case UInt8(ascii: "y"): return .byte(try readFixed(type, 0))
        case UInt8(ascii: "n"): return .int16(try readFixed(type, 0))
        case UInt8(ascii: "q"): return .uint16(try readFixed(type, 0))
        case UInt8(ascii: "i"): return .int32(try readFixed(type, 0))
        case UInt8(ascii: "u"): return .uint32(try readFixed(type, 0))
        case UInt8(ascii: "x"): return .int64(try readFixed(type, 0))
        case UInt8(ascii: "t"): return .uint64(try readFixed(type, 0))
        case UInt8(ascii: "d"): return .double(try readFixed(type, 0))
        default: throw BusError("reading a message", name: "System.Error.EBADMSG")
        }
    }

    private func readContainer(
        _ type: UInt8, _ contents: String, _ depth: Int, _ room: inout Int
    ) throws(BusError) -> [BusValue] {
        try busCall("reading a message", sd_bus_message_enter_container(message, CChar(type), contents))
        let values = try readAll(depth: depth + 1, &room)
        try busCall("reading a message", sd_bus_message_exit_container(message))
        return values
    }

    private func readFixed<Value: BitwiseCopyable>(_ type: UInt8, _ initial: Value) throws(BusError) -> Value {
        var value = initial
        try busCall("reading a message", sd_bus_message_read_basic(message, CChar(type), &value))
        return value
    }

    private func readText(_ type: UInt8) throws(BusError) -> String {
        var text: UnsafePointer<CChar>?
        try busCall("reading a message", sd_bus_message_read_basic(message, CChar(type), &text))
        return Self.text(text)
    }
}

/// Puts arguments into a message that is being made.
struct MessageWriter {
    let message: OpaquePointer

    func append(_ values: [BusValue]) throws(BusError) {
        for value in values { try append(value) }
    }

    private func append(_ value: BusValue) throws(BusError) {
        switch value {
        case .byte(let number): try basic("y", number)
        case .boolean(let flag): try basic("b", CInt(flag ? 1 : 0))
        case .int16(let number): try basic("n", number)
        case .uint16(let number): try basic("q", number)
        case .int32(let number): try basic("i", number)
        case .uint32(let number): try basic("u", number)
        case .int64(let number): try basic("x", number)
        case .uint64(let number): try basic("t", number)
        case .double(let number): try basic("d", number)
        case .string(let text): try text.withCString(in: "s", message)
        case .objectPath(let text): try text.withCString(in: "o", message)
        case .signature(let text): try text.withCString(in: "g", message)
        case .descriptor:
            throw BusError(
                "making a message", name: "System.Error.EOPNOTSUPP", message: "descriptors are only received")
        case .array(let element, let values): try container("a", element, values)
        case .structure(let fields): try container("r", fields.map(\.signature).joined(), fields)
        case .entry(let key, let value): try container("e", key.signature + value.signature, [key, value])
        case .variant(let inner): try container("v", inner.signature, [inner])
        }
    }

    private func basic<Value: BitwiseCopyable>(_ type: Unicode.Scalar, _ value: Value) throws(BusError) {
        try busCall(
            "making a message",
            withUnsafePointer(to: value) { sd_bus_message_append_basic(message, CChar(type.value), $0) })
    }

    private func container(
        _ type: Unicode.Scalar, _ contents: String, _ values: [BusValue]
    ) throws(BusError) {
        try busCall("making a message", sd_bus_message_open_container(message, CChar(type.value), contents))
        try append(values)
        try busCall("making a message", sd_bus_message_close_container(message))
    }
}

extension String {
    fileprivate func withCString(in type: Unicode.Scalar, _ message: OpaquePointer) throws(BusError) {
        let result = withCString { sd_bus_message_append_basic(message, CChar(type.value), $0) }
        try busCall("making a message", result)
    }
}
