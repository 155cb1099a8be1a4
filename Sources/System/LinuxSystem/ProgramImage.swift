// SPDX-License-Identifier: Apache-2.0

import CLinux

/// The program and its libraries, as they are mapped into this process.
package enum ProgramImage {
    /// Unmaps the pages of code and constants until they are used again (madvise(2), `MADV_DONTNEED`).
    ///
    /// What a start executes is several times what the running program needs. The pages are the files' own, so nothing is
    /// lost and nothing is read again from the disk while the page cache has them; it can let go of them now.
    /// Segments that are writable stay, also those that the dynamic linker has closed since: it has changed them.
    ///
    /// - Returns: the bytes of the segments that were released.
    @discardableResult
    package static func releaseReadOnly() throws(SystemError) -> Int64 {
        try systemCall("madvise") { clinux_release_read_only_segments() }
    }
}
