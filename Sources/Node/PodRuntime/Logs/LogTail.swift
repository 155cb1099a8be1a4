// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// Finds where the last lines of a log file begin, reading it from the end (upstream: pkg/util/tail).
enum LogTail {
    private static let blockSize = 64 << 10

    /// The offset of the first of the last `lines` lines.
    static func offset(of lines: Int, in file: borrowing FileDescriptor, _ path: String) throws(SystemError) -> UInt64 {
        let size = try file.status(path).size
        if lines <= 0 { return size }
        var seen = 0
        var end = size
        while end > 0 {
            let start = end > UInt64(blockSize) ? end - UInt64(blockSize) : 0
            let block = try file.bytes(at: start, limit: Int(end - start), path)
            for (index, byte) in block.enumerated().reversed() where byte == UInt8(ascii: "\n") {
                // The line feed at the very end belongs to the last line.
                if start + UInt64(index) + 1 == size { continue }
                seen += 1
                if seen == lines { return start + UInt64(index) + 1 }
            }
            end = start
        }
        return 0
    }
}
