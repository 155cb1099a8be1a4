// SPDX-License-Identifier: Apache-2.0

extension Board {
    /// Bits of the firmware's get_throttled: what is so now, and (shifted by 16) what has been since the start.
    private enum Throttled {
        static let underVoltage = 1 << 0
        static let capped = 1 << 1
        static let throttled = 1 << 2
        static let softLimit = 1 << 3
    }

    private static let hotMilliDegrees = 80_000

    /// Power and temperature.
    func powerFindings() -> [Finding] {
        let supply = voltageFindings()
        let heat = heatFindings()
        guard supply.isEmpty, heat.isEmpty, isRaspberryPi else { return supply + heat }
        return [Finding("PowerGood", .power, .ok, "Power supply and temperature are good")]
    }

    /// Whether the machine tells about its power supply.
    package var tellsPower: Bool {
        throttledBits != nil
            || names("/sys/class/hwmon").contains { text("/sys/class/hwmon/\($0)/name") == "rpi_volt" }
    }

    private var throttledBits: Int? {
        let path = "/sys/devices/platform/soc/soc:firmware/get_throttled"
        return text(path).flatMap { value in
            Int(value.hasPrefix("0x") ? value.dropFirst(2) : value[...], radix: 16)
        }
    }

    private func voltageFindings() -> [Finding] {
        let bits = throttledBits ?? 0
        let alarm = names("/sys/class/hwmon").contains { name in
            text("/sys/class/hwmon/\(name)/name") == "rpi_volt"
                && text("/sys/class/hwmon/\(name)/in0_lcrit_alarm") == "1"
        }
        let isNow = alarm || bits & Throttled.underVoltage != 0
        guard isNow || bits & (Throttled.underVoltage << 16) != 0 else { return [] }
        return [
            Finding(
                "UnderVoltage", .power, .warning,
                isNow ? "The supply voltage is too low" : "The supply voltage has been too low since the board started",
                why: "The board slows down, and can corrupt its SD card or stop at any moment.",
                remedy:
                    "Use the board's own power supply (5.1 V; 3 A for a Pi 4, 5 A for a Pi 5) and a short, thick cable; "
                    + "unplug USB devices that draw much")
        ]
    }

    private func heatFindings() -> [Finding] {
        let bits = throttledBits ?? 0
        let hottest =
            names("/sys/class/thermal").filter { $0.hasPrefix("thermal_zone") }
            .compactMap { text("/sys/class/thermal/\($0)/temp").flatMap { Int($0) } }.max() ?? 0
        let isSlowed = bits & (Throttled.capped | Throttled.throttled | Throttled.softLimit) != 0
        guard hottest >= Self.hotMilliDegrees || isSlowed && bits & Throttled.underVoltage == 0 else { return [] }
        let degrees = hottest > 0 ? "; the hottest sensor says \(hottest / 1000) °C" : ""
        return [
            Finding(
                "Overheating", .power, .warning, "The processor is hot or is being slowed down\(degrees)",
                why: "Everything on the board becomes slow.", remedy: "Give it a heat sink or a fan, and room around it"
            )
        ]
    }
}
