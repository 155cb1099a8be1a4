// SPDX-License-Identifier: Apache-2.0

extension Board {
    private static let leastInstances = 512
    private static let leastWatches = 8192

    /// The machine's name and identity, and limits of the kernel.
    func systemFindings() -> [Finding] { identityFindings() + hostNameFindings() + inotifyFindings() }

    private func identityFindings() -> [Finding] {
        let id = text("/etc/machine-id") ?? ""
        guard id.utf8.count != 32 || !id.allSatisfy(\.isHexDigit) else {
            return model.isEmpty ? [] : [Finding("Model", .system, .ok, model)]
        }
        return [
            Finding(
                "MachineIDMissing", .system, .warning,
                "/etc/machine-id is \(id.isEmpty ? "missing or empty" : "malformed")",
                why: "It tells machines apart; copies of one SD card must not share it.",
                remedy: "rm -f /etc/machine-id && systemd-machine-id-setup")
        ]
    }

    private func hostNameFindings() -> [Finding] {
        let name = text("/proc/sys/kernel/hostname") ?? ""
        if name.isEmpty || name == "localhost" || name == "(none)" {
            return [
                Finding(
                    "HostNameUnset", .system, .warning, "The host name is \(name.isEmpty ? "empty" : "\"\(name)\"")",
                    why: "Machines of a cluster are told apart by their names.",
                    remedy: "hostnamectl set-hostname board1, with a name of its own for each machine")
            ]
        }
        let labels = name.lowercased().split(separator: ".", omittingEmptySubsequences: false)
        let isValid = name.utf8.count <= 253 && labels.allSatisfy(Self.isLabel)
        guard !isValid else { return [] }
        return [
            Finding(
                "HostNameInvalid", .system, .error, "The host name \"\(name)\" has characters that DNS does not allow",
                why: "The machine is known by this name.",
                remedy:
                    "hostnamectl set-hostname board1 (letters, digits and hyphens), or set nodeName in the configuration"
            )
        ]
    }

    /// RFC 1123: letters, digits and hyphens, not at the ends.
    private static func isLabel(_ label: Substring) -> Bool {
        !label.isEmpty && label.utf8.count <= 63 && label.first != "-" && label.last != "-"
            && label.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
    }

    private func inotifyFindings() -> [Finding] {
        let limits = [("max_user_instances", Self.leastInstances), ("max_user_watches", Self.leastWatches)]
        return limits.compactMap { name, least in
            guard let value = text("/proc/sys/fs/inotify/\(name)").flatMap({ Int($0) }), value < least else {
                return nil
            }
            return Finding(
                "InotifyLimit", .system, .info, "fs.inotify.\(name) is \(value)",
                why: "Programs in containers share it and fail with \"too many open files\" when it is used up.",
                remedy: "echo 'fs.inotify.\(name) = \(least)' > /etc/sysctl.d/90-swiftlet.conf && sysctl --system",
                fix: .kernelVariable("fs.inotify.\(name)", value: String(least)))
        }
    }
}
