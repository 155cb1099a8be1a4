// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Kernel parameters below /proc/sys (sysctl(8)); those of `net` belong to the calling thread's network namespace.
package enum SystemControl: Sendable {
    /// The file of a parameter, `net.ipv4.ip_forward` or `net/ipv4/conf/eth0.1/forwarding`; nil where the name is none.
    ///
    /// As in sysctl(8) the first separator decides: after a slash, dots belong to names.
    package static func path(of name: String) -> String? {
        guard let separator = name.first(where: { $0 == "." || $0 == "/" }) else { return nil }
        let parts = name.split(separator: separator, omittingEmptySubsequences: false)
        let isPlain = parts.allSatisfy { part in
            !part.isEmpty && part != "." && part != ".."
                && part.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }
        }
        return isPlain ? "/proc/sys/" + parts.joined(separator: "/") : nil
    }

    /// The value without the final line end.
    package static func read(_ name: String) throws(SystemError) -> String {
        guard let path = path(of: name) else { throw SystemError("read", name, errno: EINVAL) }
        let bytes = try FileDescriptor.open(reading: path).bytes(limit: 4096, path)
        return String(decoding: bytes.last == UInt8(ascii: "\n") ? bytes.dropLast() : bytes[...], as: UTF8.self)
    }

    /// Sets a parameter.
    package static func write(_ name: String, _ value: String) throws(SystemError) {
        guard let path = path(of: name) else { throw SystemError("write", name, errno: EINVAL) }
        let file = FileDescriptor(owning: try systemCall("open", path) { open(path, O_WRONLY | O_CLOEXEC) })
        try file.write(Array(value.utf8), path)
    }
}
