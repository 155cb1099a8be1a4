// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxSystem

@Suite struct ProgramTextTests {
    @Test(arguments: [
        ("55e0-55f2 r-xp 00001000 fe:00 1234    /usr/bin/swiftlet", 0x55E0..<0x55F2 as Range<UInt>?),
        ("55e0-55f2 r-xp 00001000 fe:00 1234    /opt/a b (deleted)", 0x55E0..<0x55F2),
        ("55e0-55f2 r--p 00001000 fe:00 1234    /usr/bin/swiftlet", nil),
        ("55e0-55f2 rwxp 00001000 fe:00 1234    /usr/bin/swiftlet", nil), ("55e0-55f2 r-xp 00000000 00:00 0", nil),
        ("7ffe-7fff r-xp 00000000 00:00 0       [vdso]", nil), ("", nil), ("x-y r-xp 0 0 0 /a", nil),
    ])
    func findsCodeOfFiles(line: String, range: Range<UInt>?) {
        #expect(ProgramText.mapping(line[...]) == range)
    }

    @Test func theProgramGoesOn() throws {
        #expect(try ProgramText.release() > 0)
        #expect(try Files.readText("/proc/self/maps").contains("r-xp"))
    }
}
