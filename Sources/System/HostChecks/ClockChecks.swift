// SPDX-License-Identifier: Apache-2.0

extension Board {
    /// 2024-01-01: no machine that runs this can really be earlier.
    private static let earliest: Int64 = 1_704_067_200

    /// Whether the time can be believed.
    func clockFindings() -> [Finding] {
        if probes.now < Self.earliest {
            return [
                Finding(
                    "ClockWrong", .clock, .warning, "The clock is before 2024: it was never set",
                    why:
                        "Certificates seem not to be valid yet, so that other machines and registries refuse connections.",
                    remedy: "Set up a time service: apt install systemd-timesyncd && timedatectl set-ntp true; without "
                        + "network: date -s '2026-01-31 12:00'")
            ]
        }
        guard probes.isClockSynchronised == false else {
            return [Finding("ClockSynchronised", .clock, .ok, "The clock is set")]
        }
        let remembers = exists("/dev/rtc0") || exists("/sys/class/rtc/rtc0")
        let battery =
            remembers ? "" : " This board has no real-time clock: the time is wrong after each power cut until then."
        return [
            Finding(
                "ClockUnsynchronised", .clock, remembers ? .info : .warning, "No time service keeps the clock right",
                why: "Clocks that drift apart break certificates and leases between machines." + battery,
                remedy: "apt install systemd-timesyncd && timedatectl set-ntp true")
        ]
    }
}
