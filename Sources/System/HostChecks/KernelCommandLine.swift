// SPDX-License-Identifier: Apache-2.0

/// Where the kernel's command line of this machine comes from, and how words are added to it.
package enum KernelCommandLine: Sendable, Hashable {
    /// What switches the memory cgroup on: the first for the kernels of Raspberry Pi, the second for some other vendors'.
    package static let memoryWords = ["cgroup_enable=memory", "cgroup_memory=1"]

    /// One line that the firmware of a Raspberry Pi hands on. The path is without the board's root.
    case file(String, content: String)
    /// GRUB's settings in /etc/default/grub.
    case grub
    /// A syslinux-like menu in /boot/extlinux/extlinux.conf.
    case extlinux
    /// Armbian's /boot/armbianEnv.txt.
    case armbian
    /// Nothing that is known.
    case unknown

    /// In the order of age, the newest first. Where there is a newer file, the older only says that it is no longer read.
    private static let files = [
        "/boot/firmware/cmdline.txt", "/boot/firmware/nobtcmd.txt", "/boot/firmware/btcmd.txt", "/boot/cmdline.txt",
    ]

    /// Finds the place for a board.
    package static func locate(in board: Board) -> KernelCommandLine {
        for path in files {
            if let content = board.text(path) { return .file(path, content: content) }
        }
        if board.exists("/boot/armbianEnv.txt") { return .armbian }
        if board.exists("/boot/extlinux/extlinux.conf") { return .extlinux }
        return board.exists("/etc/default/grub") ? .grub : .unknown
    }

    /// What to do to have these words, and the fix if it can be done without a person.
    func remedy(adding words: [String]) -> (String, Fix?) {
        let text = words.joined(separator: " ")
        switch self {
        case .file(let path, let content):
            let present = content.split(whereSeparator: \.isWhitespace)
            if present.contains("cgroup_disable=memory") {
                return ("Remove the word cgroup_disable=memory from \(path) and reboot", nil)
            }
            if words.allSatisfy({ present.contains($0[...]) }) {
                return ("\(path) has \(text) already: reboot, so that the kernel sees it", nil)
            }
            let fix = Fix.kernelCommandLine(path: path, words: words)
            return ("Add \(text) to the one line of \(path) and reboot, or run: swiftlet check --fix", fix)
        case .grub:
            return (
                "Remove cgroup_disable=memory from GRUB_CMDLINE_LINUX in /etc/default/grub (or add \(text) to it), run "
                    + "update-grub and reboot", nil
            )
        case .extlinux:
            return ("Add \(text) to the append line of /boot/extlinux/extlinux.conf and reboot", nil)
        case .armbian:
            return ("Add the line extraargs=\(text) to /boot/armbianEnv.txt and reboot", nil)
        case .unknown:
            return ("Add \(text) to the kernel's command line in the boot loader's configuration and reboot", nil)
        }
    }

    /// Why a command line cannot be changed.
    package struct EditError: Error, Hashable, Sendable, CustomStringConvertible {
        package let reason: String
        package var description: String { reason }
    }

    /// The content of a file with the words added that are missing: one line, its end as it was.
    ///
    /// - Throws: ``EditError`` when the content is not one line of words; such a file is not touched.
    package static func adding(_ words: [String], to content: String, path: String) throws(EditError) -> String {
        // Swift takes CR LF as one character, which is not equal to a line feed.
        let lines = content.split(whereSeparator: \.isNewline).filter { line in line.contains { !$0.isWhitespace } }
        guard lines.count == 1, let line = lines.first else {
            throw EditError(
                reason:
                    "\(path) has \(lines.count) lines with content instead of one; the firmware reads only the first. "
                    + "Join them by hand and add \(words.joined(separator: " "))")
        }
        guard line.unicodeScalars.allSatisfy({ $0.value >= 0x20 || $0 == "\t" || $0 == "\r" }), !line.hasPrefix("#")
        else {
            throw EditError(
                reason: "\(path) does not hold a kernel command line; add \(words.joined(separator: " ")) by hand")
        }
        let present = Set(line.split(whereSeparator: \.isWhitespace))
        let missing = words.filter { !present.contains($0[...]) }
        guard !missing.isEmpty else { return content }
        var end = line.endIndex
        while end > line.startIndex, line[line.index(before: end)].isWhitespace { end = line.index(before: end) }
        return content[..<end] + " " + missing.joined(separator: " ") + content[end...]
    }
}
