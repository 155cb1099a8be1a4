// SPDX-License-Identifier: Apache-2.0

import Glibc

/// An open file descriptor with one owner; it is closed when the owner lets go of it.
package struct FileDescriptor: ~Copyable, Sendable {
    /// The number, valid as long as this value lives: for passing to a system call.
    package let rawValue: CInt

    /// Takes over an open descriptor.
    package init(owning rawValue: CInt) { self.rawValue = rawValue }

    deinit { Glibc.close(rawValue) }

    /// Gives the descriptor away: the caller closes it.
    package consuming func release() -> CInt {
        let number = rawValue
        discard self
        return number
    }

    /// Closes now; errors of close(2) are ignored, because the descriptor is gone whatever it says.
    package consuming func close() {}
}
