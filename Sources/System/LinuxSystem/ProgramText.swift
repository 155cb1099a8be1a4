// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The machine code of the program and its libraries, as it is mapped into this process.
package enum ProgramText {
    /// Unmaps the pages of code until they are executed again (madvise(2), `MADV_DONTNEED`).
    ///
    /// What a start executes is several times what the running program needs. The pages are the files' own, so nothing is
    /// lost and nothing is read again from the disk while the page cache has them; it can let go of them now.
    /// Parts that are writable or not executable stay: the dynamic linker may have changed them.
    ///
    /// - Returns: the bytes of the mappings that were released.
    @discardableResult
    package static func release() throws(SystemError) -> Int {
        var released = 0
        for line in try Files.readText("/proc/self/maps").split(separator: "\n") {
            guard let range = mapping(line), let start = UnsafeMutableRawPointer(bitPattern: range.lowerBound) else {
                continue
            }
            try systemCall("madvise") { madvise(start, range.count, MADV_DONTNEED) }
            released += range.count
        }
        return released
    }

    /// The addresses of a line of proc_pid_maps(5) if it is code of a file: `5581-5592 r-xp 00001000 fe:00 123 /usr/bin/x`.
    static func mapping(_ line: Substring) -> Range<UInt>? {
        let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
        // The name is in a column of its own, behind more than one space.
        guard fields.count == 6, fields[1] == "r-xp", fields[5].drop(while: { $0 == " " }).hasPrefix("/") else {
            return nil
        }
        let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        guard ends.count == 2, ends[0] < ends[1] else { return nil }
        return ends[0]..<ends[1]
    }
}
