// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@Suite struct IPAddressTests {
    @Test(arguments: [
        ("0.0.0.0", "0.0.0.0"), ("10.1.2.255", "10.1.2.255"), ("::", "::"), ("::1", "::1"), ("fe80::1", "fe80::1"),
        ("2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"), ("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"), ("1::", "1::"),
        ("0:1:0:1:0:1:0:1", "0:1:0:1:0:1:0:1"), ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("64:ff9b::1.2.3.4", "64:ff9b::102:304"),
    ])
    func textIsParsedAndWritten(input: String, canonical: String) throws {
        let address = try #require(IPAddress(input))
        #expect(address.description == canonical)
        #expect(IPAddress(canonical) == address)
    }

    @Test(arguments: [
        "", "1", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "+1.2.3.4", ":", ":::", "1:2:3:4:5:6:7",
        "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "::g", "fe80::1%eth0", "1:2:3:4:5:6:7::8", "1.2.3.4::", "::-1",
        "::+1",
        "1:2:3:4:5:6:7:8::", ":1:2:3:4:5:6:7",
    ])
    func otherTextIsRefused(input: String) {
        #expect(IPAddress(input) == nil)
    }

    @Test func networksMaskAndContain() throws {
        let network = try #require(IPNetwork("10.1.7.9/22"))
        #expect(network.network.description == "10.1.4.0/22")
        #expect(network.contains(IPAddress(v4: 10, 1, 7, 255)))
        #expect(!network.contains(IPAddress(v4: 10, 1, 8, 0)))
        #expect(!network.contains(.loopbackV6))
        #expect(IPNetwork("::/0")?.contains(.loopbackV6) == true)
        for text in [
            "10.0.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/08", "/8", "::/129", "1.1.1.1/8/8",
        ] {
            #expect(IPNetwork(text) == nil, "\(text)")
        }
    }

    @Test func addressesAdvanceWithCarry() {
        #expect(IPAddress(v4: 10, 0, 0, 255).advanced(by: 1) == IPAddress(v4: 10, 0, 1, 0))
        #expect(IPAddress(v4: 10, 0, 1, 0).advanced(by: -1) == IPAddress(v4: 10, 0, 0, 255))
        #expect(IPAddress(v4: 255, 255, 255, 255).advanced(by: 1) == nil)
        #expect(IPAddress(v4: 0, 0, 0, 0).advanced(by: -1) == nil)
    }
}
