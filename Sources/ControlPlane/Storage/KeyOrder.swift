// SPDX-License-Identifier: Apache-2.0

/// The order of keys: by their UTF-8 bytes, as etcd has it and unlike `String`'s `<`.
enum KeyOrder {
    static func compare(_ left: String, _ right: String) -> Int {
        let fast = left.utf8.withContiguousStorageIfAvailable { left in
            right.utf8.withContiguousStorageIfAvailable { right in compare(left, right) }
        }
        if case .some(.some(let result)) = fast { return result }
        return Array(left.utf8).withUnsafeBufferPointer { left in
            Array(right.utf8).withUnsafeBufferPointer { right in compare(left, right) }
        }
    }

    private static func compare(_ left: UnsafeBufferPointer<UInt8>, _ right: UnsafeBufferPointer<UInt8>) -> Int {
        let common = min(left.count, right.count)
        var position = 0
        while position < common {
            let difference = Int(left[position]) - Int(right[position])
            if difference != 0 { return difference }
            position += 1
        }
        return left.count - right.count
    }

    static func hasPrefix(_ key: String, _ prefix: String) -> Bool {
        // `String.hasPrefix` compares characters; a combining mark behind the prefix would hide it.
        key.utf8.starts(with: prefix.utf8)
    }
}
