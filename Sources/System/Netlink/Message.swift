// SPDX-License-Identifier: Apache-2.0

/// A netlink request under construction: header, fixed part, attributes (netlink(7), rtnetlink(7)).
///
/// Numbers are in the machine's byte order, as the kernel wants them, unless a method says otherwise.
struct Message {
    /// Flags of the header (linux/netlink.h).
    struct Flags: OptionSet, Hashable {
        let rawValue: UInt16
        static let request = Flags(rawValue: 0x1)
        static let acknowledge = Flags(rawValue: 0x4)
        static let dumpInterrupted = Flags(rawValue: 0x10)
        // For requests that get:
        static let dump = Flags(rawValue: 0x300)
        // For requests that make:
        static let replace = Flags(rawValue: 0x100)
        static let exclusive = Flags(rawValue: 0x200)
        static let create = Flags(rawValue: 0x400)
        static let append = Flags(rawValue: 0x800)
        // For acknowledgements:
        static let capped = Flags(rawValue: 0x100)
        static let hasAttributes = Flags(rawValue: 0x200)
    }

    static let headerBytes = 16
    private static let sequenceOffset = 8
    private(set) var bytes: [UInt8]
    let flags: Flags

    /// Starts a request of a type; `request` and `acknowledge` are added to the flags except for dumps, which end by themselves.
    init(_ type: MessageType, _ flags: Flags = []) {
        let isDump = flags.contains(.dump) && type.isQuery
        self.flags = isDump ? flags.union(.request) : flags.union([.request, .acknowledge])
        bytes = []
        bytes.reserveCapacity(256)
        // The length is filled in at the end, the sequence number by the session; the port is the kernel's.
        add(UInt32(0))
        add(type.rawValue)
        add(self.flags.rawValue)
        add(UInt32(0))
        add(UInt32(0))
    }

    /// Appends a number of the fixed part.
    mutating func add(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
    }

    /// Appends an attribute of bytes.
    mutating func attribute(_ type: UInt16, _ value: [UInt8]) {
        add(UInt16(4 + value.count))
        add(type)
        bytes += value
        pad()
    }

    /// Appends an attribute of a number.
    mutating func attribute(_ type: UInt16, _ value: some FixedWidthInteger) {
        attribute(type, withUnsafeBytes(of: value) { Array($0) })
    }

    /// Appends an attribute of a text with its final zero.
    mutating func attribute(_ type: UInt16, text: String) {
        attribute(type, Array(text.utf8) + [0])
    }

    /// Appends an attribute that contains what `body` appends.
    mutating func nested(_ type: UInt16, _ body: (inout Message) -> Void) {
        let start = bytes.count
        add(UInt16(0))
        // NLA_F_NESTED, which strict checks want.
        add(type | 0x8000)
        body(&self)
        setUInt16(UInt16(bytes.count - start), at: start)
        pad()
    }

    /// The finished datagram.
    consuming func finished(sequence: UInt32) -> [UInt8] {
        withUnsafeBytes(of: UInt32(bytes.count)) { bytes.replaceSubrange(0..<4, with: $0) }
        withUnsafeBytes(of: sequence) {
            bytes.replaceSubrange(Self.sequenceOffset..<Self.sequenceOffset + 4, with: $0)
        }
        return bytes
    }

    private mutating func pad() {
        while bytes.count % 4 != 0 { bytes.append(0) }
    }

    private mutating func setUInt16(_ value: UInt16, at offset: Int) {
        withUnsafeBytes(of: value) { bytes.replaceSubrange(offset..<offset + 2, with: $0) }
    }
}

/// The types of requests and answers (linux/rtnetlink.h).
enum MessageType: UInt16 {
    case noOperation = 1
    case error = 2
    case done = 3
    case newLink = 16
    case deleteLink = 17
    case getLink = 18
    case setLink = 19
    case newAddress = 20
    case deleteAddress = 21
    case getAddress = 22
    case newRoute = 24
    case deleteRoute = 25
    case getRoute = 26
    case newNeighbour = 28
    case deleteNeighbour = 29
    case getNeighbour = 30

    /// Whether requests of this type only read.
    var isQuery: Bool {
        switch self {
        case .getLink, .getAddress, .getRoute, .getNeighbour: true
        default: false
        }
    }
}
