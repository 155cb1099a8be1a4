// SPDX-License-Identifier: Apache-2.0

/// `$(VAR)` expansion in env values, command and args (k8s.io/kubernetes/third_party/forked/golang/expansion).
package enum Expansion {
    /// Replaces each `$(NAME)` that is known; `$$` is a dollar sign, and what is unknown or malformed stays as it is.
    package static func expand(_ text: String, _ value: (String) -> String?) -> String {
        guard text.utf8.contains(UInt8(ascii: "$")) else { return text }
        let bytes = Array(text.utf8)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            guard byte == UInt8(ascii: "$"), index + 1 < bytes.count else {
                result.append(byte)
                index += 1
                continue
            }
            switch bytes[index + 1] {
            case UInt8(ascii: "$"):
                result.append(byte)
                index += 2
            case UInt8(ascii: "("):
                guard let end = bytes[(index + 2)...].firstIndex(of: UInt8(ascii: ")")) else {
                    // An unclosed reference: the two characters stand for themselves.
                    result += [byte, UInt8(ascii: "(")]
                    index += 2
                    continue
                }
                let name = String(decoding: bytes[(index + 2)..<end], as: UTF8.self)
                if let known = value(name) {
                    result += Array(known.utf8)
                } else {
                    result += bytes[index...end]
                }
                index = end + 1
            default:
                result += [byte, bytes[index + 1]]
                index += 2
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
