// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Questions that callers outside LinuxSystem ask about an error, so that they need no errno constants.
extension SystemError {
    /// ENOENT.
    package var isMissing: Bool { errno == ENOENT }
    /// EEXIST.
    package var isExisting: Bool { errno == EEXIST }
    /// ENOTDIR or ELOOP: a component of the path, or the name itself, is no directory.
    package var isNotDirectory: Bool { errno == ENOTDIR || errno == ELOOP }
    /// ENOSPC or EDQUOT.
    package var isOutOfSpace: Bool { errno == ENOSPC || errno == EDQUOT }
    /// ENOTSUP: the file system has no such feature.
    package var isUnsupported: Bool { errno == ENOTSUP || errno == ENOSYS }
    /// EPERM or EACCES.
    package var isDenied: Bool { errno == EPERM || errno == EACCES }
    /// EBUSY.
    package var isBusy: Bool { errno == EBUSY }
    /// EXDEV.
    package var isOfOtherFileSystem: Bool { errno == EXDEV }
}
