// SPDX-License-Identifier: Apache-2.0

/// One line of `/proc/PID/mountinfo` (proc_pid_mountinfo(5)).
package struct MountInfo: Sendable, Hashable {
    package let id: Int
    package let parentID: Int
    /// The device as `major:minor`.
    package let device: String
    /// The directory of the file system that is the mount's root.
    package let root: String
    /// Where it is mounted, relative to the process's root.
    package let mountPoint: String
    /// The mount's own options, `rw,nosuid`.
    package let options: String
    /// Optional fields, `shared:1`, `master:2`.
    package let propagation: [String]
    package let type: String
    package let source: String
    /// The file system's options, `rw,cpu,cpuacct`.
    package let superOptions: String

    /// Parses one line; nil where it is not of this form.
    package init?(line: Substring) {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count >= 10, let id = Int(fields[0]), let parentID = Int(fields[1]),
            let separator = fields[6...].firstIndex(of: "-"), fields.count >= separator + 4
        else { return nil }
        self.id = id
        self.parentID = parentID
        device = String(fields[2])
        root = Self.unescape(fields[3])
        mountPoint = Self.unescape(fields[4])
        options = String(fields[5])
        propagation = fields[6..<separator].map(String.init)
        type = String(fields[separator + 1])
        source = Self.unescape(fields[separator + 2])
        superOptions = String(fields[separator + 3])
    }

    /// Parses a whole file; lines of another form are left out.
    package static func parse(_ text: String) -> [MountInfo] {
        text.split(separator: "\n").compactMap { MountInfo(line: $0) }
    }

    /// The mounts of the calling process.
    package static func current() throws(SystemError) -> [MountInfo] {
        parse(String(decoding: try Files.read("/proc/self/mountinfo"), as: UTF8.self))
    }

    /// The kernel writes space, tab, line feed and backslash in octal: `\040`.
    static func unescape(_ field: Substring) -> String {
        guard field.utf8.contains(UInt8(ascii: "\\")) else { return String(field) }
        let bytes = Array(field.utf8)
        var result: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == UInt8(ascii: "\\"), index + 3 < bytes.count,
                let value = UInt8(String(decoding: bytes[(index + 1)...(index + 3)], as: UTF8.self), radix: 8)
            {
                result.append(value)
                index += 4
            } else {
                result.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: result, as: UTF8.self)
    }
}
