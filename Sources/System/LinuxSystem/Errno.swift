// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The error numbers that callers tell apart (errno(3)), for modules that do not import the C library.
package enum Errno {
    package static let EACCES = Glibc.EACCES
    package static let EAGAIN = Glibc.EAGAIN
    package static let EBADF = Glibc.EBADF
    package static let EBUSY = Glibc.EBUSY
    package static let ECHILD = Glibc.ECHILD
    package static let ECONNREFUSED = Glibc.ECONNREFUSED
    package static let ECONNRESET = Glibc.ECONNRESET
    package static let EEXIST = Glibc.EEXIST
    package static let EINVAL = Glibc.EINVAL
    package static let EIO = Glibc.EIO
    package static let EISDIR = Glibc.EISDIR
    package static let ELOOP = Glibc.ELOOP
    package static let ENODATA = Glibc.ENODATA
    package static let ENODEV = Glibc.ENODEV
    package static let ENOENT = Glibc.ENOENT
    package static let ENOEXEC = Glibc.ENOEXEC
    package static let ENOSPC = Glibc.ENOSPC
    package static let ENOSYS = Glibc.ENOSYS
    package static let ENOTDIR = Glibc.ENOTDIR
    package static let ENOTEMPTY = Glibc.ENOTEMPTY
    package static let ENOTSUP = Glibc.ENOTSUP
    package static let ENOTTY = Glibc.ENOTTY
    package static let ENXIO = Glibc.ENXIO
    package static let EPERM = Glibc.EPERM
    package static let EPIPE = Glibc.EPIPE
    package static let EROFS = Glibc.EROFS
    package static let ESRCH = Glibc.ESRCH
    package static let ETIMEDOUT = Glibc.ETIMEDOUT
    package static let EXDEV = Glibc.EXDEV
}
