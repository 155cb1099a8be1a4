// SPDX-License-Identifier: Apache-2.0

extension Board {
    private static let leastKiB = 400 * 1024

    /// Memory, swap and page size.
    func memoryFindings() -> [Finding] {
        var findings: [Finding] = []
        if let total = amount("MemTotal:") {
            findings.append(
                total < Self.leastKiB
                    ? Finding(
                        "MemorySmall", .memory, .warning, "The machine has only \(total / 1024) MiB of memory",
                        why: "Little is left for containers.",
                        remedy: "Use a board with 1 GiB or more for a control plane")
                    : Finding("MemorySize", .memory, .ok, "The machine has \(total / 1024) MiB of memory"))
        }
        findings += swapFindings()
        if probes.pageBytes != 4096 {
            findings.append(
                Finding(
                    "PageSize", .memory, .info, "Pages of memory have \(probes.pageBytes / 1024) KiB",
                    why: "Some programs in images (older jemalloc, 32-bit ones) expect pages of 4 KiB and end at once.",
                    remedy:
                        "If one does so on a Raspberry Pi 5: add kernel=kernel8.img to /boot/firmware/config.txt and reboot"
                ))
        }
        return findings
    }

    private func amount(_ name: String) -> Int? {
        for line in (text("/proc/meminfo") ?? "").split(separator: "\n") where line.hasPrefix(name) {
            return line.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
        }
        return nil
    }

    private func swapFindings() -> [Finding] {
        let devices = (text("/proc/swaps") ?? "").split(separator: "\n").dropFirst()
            .compactMap { $0.split(whereSeparator: \.isWhitespace).first }
        // Swap in compressed memory wears nothing out.
        let onDisk = devices.filter { !$0.hasPrefix("/dev/zram") }
        guard !onDisk.isEmpty else { return [] }
        return [
            Finding(
                "SwapOnDisk", .memory, .info, "Swap is on \(onDisk.joined(separator: ", "))",
                why:
                    "Swapping wears out an SD card and makes containers slow without notice; they may not use it unless "
                    + "asked to.",
                remedy:
                    "systemctl disable --now dphys-swapfile 2>/dev/null || swapoff -a; apt install zram-tools for swap in "
                    + "memory")
        ]
    }
}
