// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

struct QuantityTests {
    @Test(arguments: [
        ("0", "0"), ("1000m", "1"), ("0.5", "500m"), ("1500m", "1500m"), ("1", "1"), ("1000", "1k"), ("1024", "1024"),
        ("1Ki", "1Ki"), ("1024Ki", "1Mi"), ("1536Mi", "1536Mi"), ("1.5Gi", "1536Mi"), ("0.5Ki", "512"),
        ("1Mi", "1Mi"), ("100Mi", "100Mi"), ("1e3", "1e3"), ("1E3", "1E3"), ("1e-3", "1e-3"), ("1000e0", "1e3"),
        ("1E", "1E"), ("1.1", "1100m"), ("0.001", "1m"), ("0.0001", "100u"), ("1n", "1n"), ("0.1n", "1n"),
        ("-0.1n", "-1n"), ("+5", "+5"), ("-5", "-5"), (".5", "500m"), ("5.", "5."), ("00100", "00100"),
        ("1.500", "1.500"), ("m", "0"), ("-", "0"), (".", "0"),
        ("9223372036854775807", "9223372036854775807"), ("9223372036854775808", "9223372036854775808"),
        ("10E", "10E"), ("10Ei", "9223372036854775807"), ("8Ei", "9223372036854775807"),
        ("0.3Ki", "307200m"), ("1e-100", "1e-9"), ("2500000u", "2500m"), ("1000m", "1"),
        ("12.345M", "12.345M"), ("12.34M", "12340k"),
    ])
    func canonicalForm(text: String, canonical: String) throws {
        #expect(try Quantity(text).description == canonical)
    }

    @Test(arguments: [
        ("", QuantityError.format), ("x", .format), ("1 Gi", .format), ("1gi", .format), ("--1", .suffix),
        ("1.2.3", .format), ("1KiKi", .suffix), ("1K", .suffix), ("1mM", .suffix),
        ("1e", .suffix), ("1e1.5", .format),
    ])
    func malformed(text: String, error: QuantityError) {
        #expect(throws: error) { try Quantity(text) }
    }

    @Test func arithmeticIsExact() throws {
        let sum = try Quantity("100m") + Quantity("0.2")
        #expect(sum.description == "300m")
        #expect(try Quantity("1Gi") + Quantity("512Mi") == Quantity("1.5Gi"))
        #expect(try (Quantity("1Gi") - Quantity("1Gi")).isZero)
        #expect(try Quantity("1Gi") > Quantity("1G"))
        #expect(try Quantity("1000m") == Quantity("1"))
        #expect(try Quantity("1000m").hashValue == Quantity("1").hashValue)
        #expect(try Quantity("1m").value == 1)
        #expect(try Quantity("1001u").milliValue == 2)
        #expect(Quantity(milli: 250).description == "250m")
        #expect(try (Quantity.zero + Quantity("1Mi")).description == "1Mi")
    }

    @Test func jsonNumbersCount() {
        #expect(Quantity(.int(2))?.description == "2")
        #expect(Quantity(.double(1.5))?.description == "1500m")
        #expect(Quantity(.bool(true)) == nil)
        #expect(Quantity(nil) == nil)
    }
}

struct KubeTimeTests {
    @Test(arguments: [
        ("1970-01-01T00:00:00Z", 0), ("2026-11-24T11:10:52Z", 1_795_518_652), ("2000-02-29T23:59:59Z", 951_868_799),
        ("1969-12-31T23:59:59Z", -1), ("0001-01-01T00:00:00Z", -62_135_596_800),
        ("9999-12-31T23:59:59Z", 253_402_300_799),
    ])
    func roundTrip(text: String, seconds: Int) throws {
        let time = try #require(KubeTime(text))
        #expect(time.seconds == seconds)
        #expect(KubeTime(seconds: seconds).text == text)
    }

    @Test func offsetsAndFractions() throws {
        let time = try #require(KubeTime("2026-01-01T01:30:00.123456789+01:30"))
        #expect(time.text == "2026-01-01T00:00:00Z")
        #expect(time.microText == "2026-01-01T00:00:00.123456Z")
        #expect(time.nanoseconds == 123_456_789)
        #expect(KubeTime("2026-01-01T00:00:00.5Z")?.nanoseconds == 500_000_000)
        #expect(KubeTime(seconds: 0, nanoseconds: 7_000).microText == "1970-01-01T00:00:00.000007Z")
    }

    @Test(arguments: [
        "", "2026-01-01", "2026-13-01T00:00:00Z", "2026-02-29T00:00:00Z", "2026-01-01T24:00:00Z",
        "2026-01-01 00:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00+0100", "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:60Z", "2026-01-01T00:00:00Zx",
    ])
    func malformed(text: String) {
        #expect(KubeTime(text) == nil)
    }
}

struct IntOrStringTests {
    @Test func percentagesRoundAsAsked() {
        #expect(IntOrString("25%")?.scaled(total: 10, roundUp: true) == 3)
        #expect(IntOrString("25%")?.scaled(total: 10, roundUp: false) == 2)
        #expect(IntOrString(7)?.scaled(total: 10, roundUp: false) == 7)
        #expect(IntOrString("http")?.scaled(total: 10, roundUp: false) == nil)
        #expect(IntOrString("-5%")?.percent == nil)
        #expect(IntOrString("100%")?.percent == 100)
        #expect(IntOrString(true) == nil)
    }
}
