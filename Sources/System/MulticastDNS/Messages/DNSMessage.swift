// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// A message of DNS (RFC 1035, 4) as multicast DNS uses it (RFC 6762, 18).
package struct DNSMessage: Hashable, Sendable {
    /// The largest message (RFC 6762, 17), in bytes.
    package static let limit = 9000
    /// More questions and records than this are refused.
    package static let entryLimit = 128

    package var id: UInt16 = 0
    package var isResponse = false
    package var isAuthoritative = false
    /// 0 for queries and responses as they are used here.
    package var opcode: UInt8 = 0
    /// 0 where there is no error.
    package var responseCode: UInt8 = 0
    package var questions: [Question] = []
    package var answers: [Record] = []
    package var authorities: [Record] = []
    package var additionals: [Record] = []

    package init() {}

    /// The type of a record or of what is asked for.
    package struct Kind: RawRepresentable, Hashable, Sendable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static let a = Kind(rawValue: 1)
        package static let ptr = Kind(rawValue: 12)
        package static let txt = Kind(rawValue: 16)
        package static let aaaa = Kind(rawValue: 28)
        package static let srv = Kind(rawValue: 33)
        package static let any = Kind(rawValue: 255)
    }

    /// The internet's class, and the question for any.
    static let internetClass: UInt16 = 1
    static let anyClass: UInt16 = 255

    package struct Question: Hashable, Sendable {
        package var name: DNSName
        package var kind: Kind
        /// Without its highest bit.
        package var recordClass: UInt16
        /// Whether the answer may come to the asker alone: the highest bit of the class (RFC 6762, 5.4).
        package var wantsUnicast: Bool

        package init(_ name: DNSName, _ kind: Kind, wantsUnicast: Bool = false) {
            self.name = name
            self.kind = kind
            recordClass = DNSMessage.internetClass
            self.wantsUnicast = wantsUnicast
        }
    }

    package struct Record: Hashable, Sendable {
        package var name: DNSName
        /// Without its highest bit.
        package var recordClass: UInt16
        /// Whether what was known before is to be forgotten: the highest bit of the class (RFC 6762, 10.2).
        package var flushesCache = false
        /// Seconds for which it may be remembered.
        package var timeToLive: UInt32
        package var data: RecordData

        package init(_ name: DNSName, timeToLive: UInt32, _ data: RecordData) {
            self.name = name
            recordClass = DNSMessage.internetClass
            self.timeToLive = timeToLive
            self.data = data
        }
    }

    package enum RecordData: Hashable, Sendable {
        /// A or AAAA.
        case address(IPAddress)
        case pointer(DNSName)
        /// RFC 2782.
        case service(priority: UInt16, weight: UInt16, port: UInt16, target: DNSName)
        /// Strings of at most 255 bytes.
        case text([[UInt8]])
        case other(Kind, [UInt8])

        package var kind: Kind {
            switch self {
            case .address(let address): address.isV4 ? .a : .aaaa
            case .pointer: .ptr
            case .service: .srv
            case .text: .txt
            case .other(let kind, _): kind
            }
        }
    }
}

/// Why bytes are no DNS message, or none that is taken here.
package enum DNSMessageError: Error, Hashable, Sendable, CustomStringConvertible {
    case truncated
    case malformed(String)
    case tooLarge

    package var description: String {
        switch self {
        case .truncated: "the message ends too early"
        case .malformed(let what): "the message has a malformed \(what)"
        case .tooLarge: "the message is larger than it may be"
        }
    }
}
