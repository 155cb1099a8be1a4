// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import LinuxSystem

@Suite struct ProgramImageTests {
    /// Bytes of this process's files that are mapped, by smaps (proc(5)): of code, and what was changed since.
    private func mapped() throws -> (code: Int, changed: Int) {
        var result = (code: 0, changed: 0)
        var isCode = false, isFile = false
        for line in try Files.readText("/proc/self/smaps").split(separator: "\n") {
            let fields = line.split(separator: " ")
            if fields.count >= 5, fields[0].contains("-") {
                isFile = line.contains("/")
                isCode = isFile && fields[1] == "r-xp"
            }
            guard isFile, fields.count == 3, let amount = Int(fields[1]) else { continue }
            if isCode, fields[0] == "Rss:" { result.code += amount << 10 }
            if fields[0] == "Private_Dirty:" { result.changed += amount << 10 }
        }
        return result
    }

    @Test func codeIsUnmappedAndTheProgramGoesOn() throws {
        let before = try mapped()
        #expect(try ProgramImage.releaseReadOnly() > 1 << 20)
        let after = try mapped()
        #expect(after.code < before.code)
        // What was written, also by the dynamic linker, must not be lost.
        #expect(after.changed * 10 > before.changed * 9)
    }
}
