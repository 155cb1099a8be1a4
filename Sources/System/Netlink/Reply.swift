// SPDX-License-Identifier: Apache-2.0

/// One message of an answer without its header.
struct Reply: Hashable {
    let type: UInt16
    let payload: ArraySlice<UInt8>
}

/// Puts the kernel's answer to one request together from datagrams; it does no input or output itself.
struct ReplyAssembler {
    /// What to do after a datagram.
    enum Progress: Hashable {
        /// Receive another one.
        case incomplete
        /// The answer is complete.
        case complete
        /// The tables changed during a dump: ask again.
        case interrupted
        /// The kernel refused: error number and explanation.
        case refused(errno: Int32, explanation: String)
    }

    private let sequence: UInt32
    private(set) var replies: [Reply] = []
    private var wasInterrupted = false

    init(sequence: UInt32) { self.sequence = sequence }

    /// Takes in a datagram. Messages of other sequence numbers, left over from a request that was given up, are ignored.
    mutating func consume(_ datagram: [UInt8]) -> Progress {
        var rest = datagram[...]
        while rest.count >= Message.headerBytes {
            var reader = ByteReader(rest)
            guard let length: UInt32 = reader.next(), let type: UInt16 = reader.next(),
                let rawFlags: UInt16 = reader.next(), let number: UInt32 = reader.next(),
                Int(length) >= Message.headerBytes, Int(length) <= rest.count
            else { break }
            let payload = rest.dropFirst(Message.headerBytes).prefix(Int(length) - Message.headerBytes)
            rest = rest.dropFirst((Int(length) + 3) / 4 * 4)
            guard number == sequence else { continue }
            let flags = Message.Flags(rawValue: rawFlags)
            if flags.contains(.dumpInterrupted) { wasInterrupted = true }
            switch MessageType(rawValue: type) {
            case .noOperation: continue
            case .done, .error: return end(payload, flags, isDone: type == MessageType.done.rawValue)
            default: replies.append(Reply(type: type, payload: payload))
            }
        }
        return .incomplete
    }

    /// Reads the end of an answer: an error number (0 for success), the head of the request, and attributes.
    private func end(_ payload: ArraySlice<UInt8>, _ flags: Message.Flags, isDone: Bool) -> Progress {
        var reader = ByteReader(payload)
        // The end of a dump may come without a number from old kernels.
        guard let negative: Int32 = reader.next() else {
            return isDone
                ? .complete : .refused(errno: NetlinkError.badMessage, explanation: "an answer without error number")
        }
        guard negative < 0 else { return wasInterrupted ? .interrupted : .complete }
        var explanation = ""
        if flags.contains(.hasAttributes) {
            // An acknowledgement repeats the request: whole, or only its header if capped. The end of a dump does not.
            if !isDone {
                let requestLength = reader.rest.number(UInt32.self) ?? 0
                let repeated = flags.contains(.capped) ? Message.headerBytes : (Int(requestLength) + 3) / 4 * 4
                reader.skip(repeated)
            }
            // NLMSGERR_ATTR_MSG
            explanation = reader.attributes()?[1]?.text ?? ""
        }
        return .refused(errno: -negative, explanation: explanation)
    }
}
