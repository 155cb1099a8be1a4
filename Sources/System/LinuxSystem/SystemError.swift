// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A failed system call: what was attempted, on what, and the kernel's reason (errno(3)).
package struct SystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The system call's name, `openat`.
    package let call: String
    /// The path, address or process that the call was about; empty where there is none.
    package let subject: String
    /// The error number.
    package let errno: CInt

    package init(_ call: String, _ subject: String = "", errno: CInt) {
        self.call = call
        self.subject = subject
        self.errno = errno
    }

    /// The kernel's reason in words, `No such file or directory`.
    package var reason: String {
        var buffer = [CChar](repeating: 0, count: 256)
        // The XSI form of strerror_r(3): thread-safe, fills the buffer and returns 0.
        guard strerror_r(errno, &buffer, buffer.count) == 0 else { return "error \(errno)" }
        return buffer.withUnsafeBufferPointer { bytes in
            String(decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        }
    }

    package var description: String {
        subject.isEmpty ? "\(call): \(reason)" : "\(call) \(subject): \(reason)"
    }
}

/// Calls `body` until it is not interrupted by a signal (EINTR) and throws if it returns -1.
@discardableResult
package func systemCall<Result: SignedInteger>(
    _ call: @autoclosure () -> String, _ subject: @autoclosure () -> String = "", _ body: () -> Result
) throws(SystemError) -> Result {
    while true {
        let result = body()
        if result != -1 { return result }
        let number = Glibc.errno
        if number != EINTR { throw SystemError(call(), subject(), errno: number) }
    }
}
