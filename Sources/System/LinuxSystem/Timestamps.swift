// SPDX-License-Identifier: Apache-2.0

extension FileTime {
    /// The time in UTC as RFC 3339 with nine digits of the second, `2026-01-01T00:00:00.000000000Z`.
    package var rfc3339: String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(30)
        appendRFC3339(to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Appends ``rfc3339``: for the log writer, which makes one for every line.
    package func appendRFC3339(to bytes: inout [UInt8]) {
        let days = seconds >= 0 ? seconds / 86400 : (seconds - 86399) / 86400
        let rest = seconds - days * 86400
        let date = Self.civilDate(days)
        Self.append(date.year, 4, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(date.month, 2, to: &bytes)
        bytes.append(UInt8(ascii: "-"))
        Self.append(date.day, 2, to: &bytes)
        bytes.append(UInt8(ascii: "T"))
        Self.append(rest / 3600, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(rest / 60 % 60, 2, to: &bytes)
        bytes.append(UInt8(ascii: ":"))
        Self.append(rest % 60, 2, to: &bytes)
        bytes.append(UInt8(ascii: "."))
        Self.append(nanoseconds, 9, to: &bytes)
        bytes.append(UInt8(ascii: "Z"))
    }

    /// The Gregorian date of a day since 1970, with years that begin in March so that leap days come last.
    private static func civilDate(_ days: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
        )
    }

    private static func append(_ value: Int64, _ digits: Int, to bytes: inout [UInt8]) {
        var divisor: Int64 = 1
        for _ in 1..<digits { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }
}
