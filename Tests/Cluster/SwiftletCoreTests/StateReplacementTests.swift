// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Testing

@testable import SwiftletCore

@Suite struct StateReplacementTests {
    private static func write(_ text: String, _ path: String) throws {
        try Files.makeDirectories(Files.directory(of: path))
        try Files.replace(path, with: Array(text.utf8))
    }

    private static func read(_ path: String) throws -> String { try Files.readText(path) }

    @Test func changesPlacesWithWhatIsThere() throws {
        let directory = try TemporaryDirectory()
        let state = "\(directory.path)/state"
        try Self.write("old", "\(state)/pki/ca.crt")
        let replacement = try StateReplacement(of: state)
        #expect(try replacement.existing() == ["pki"])
        try Self.write("new", "\(replacement.unpacked)/pki/ca.crt")
        let aside = try #require(try replacement.run())
        #expect(try Self.read("\(state)/pki/ca.crt") == "new" && Self.read("\(aside)/pki/ca.crt") == "old")
        #expect(!Files.exists(replacement.work))
        try Files.makeDirectories("\(state).restoring")
        #expect(Set(StateReplacement.remains(of: state)) == [aside, "\(state).restoring"])
    }

    @Test func aLinkStaysAndWhatItLeadsToIsReplaced() throws {
        let directory = try TemporaryDirectory()
        let (disk, state) = ("\(directory.path)/disk", "\(directory.path)/state")
        try Files.makeLink(state, to: "disk")
        // The disk may just not be mounted.
        #expect(throws: BackupError.self) { try StateReplacement(of: state) }
        try Self.write("old", "\(disk)/pki/ca.crt")
        let replacement = try StateReplacement(of: state)
        try Self.write("new", "\(replacement.unpacked)/pki/ca.crt")
        let aside = try #require(try replacement.run())
        #expect(try Files.linkTarget(state) == "disk" && Self.read("\(disk)/pki/ca.crt") == "new")
        #expect(aside.hasPrefix("\(disk).before-restore-"))
        #expect(StateReplacement.remains(of: state) == [aside])
    }

    /// As a restore leaves a state directory that is a file system of its own, when it is broken off after so many steps.
    private static func brokenOff(after steps: Int, in state: String) throws -> Bool {
        for name in ["store", "pki", "images"] { try write("old", "\(state)/\(name)/file") }
        for name in ["lost+found/x", ".before-restore-1/store/file"] { try write("older", "\(state)/\(name)") }
        let (leaving, coming) = ("\(state)/.restoring-old-leaves", "\(state)/.restoring-new-comes")
        for name in ["store", "pki"] { try write("new", "\(leaving)/new/\(name)/file") }
        try Files.makeDirectory("\(leaving)/old")
        var renames = ["pki", "store", "images"].map { ("\(state)/\($0)", "\(leaving)/old/\($0)") }
        renames.append((leaving, coming))
        renames += ["pki", "store"].map { ("\(coming)/new/\($0)", "\(state)/\($0)") }
        renames.append(("\(coming)/old", "\(state)/.before-restore-2"))
        for (path, target) in renames.prefix(steps) { try Files.rename(path, to: target) }
        return steps <= renames.count
    }

    @Test(arguments: 0...7) func whatWasBrokenOffIsBroughtToItsEnd(steps: Int) throws {
        let directory = try TemporaryDirectory()
        let state = directory.path
        #expect(try Self.brokenOff(after: steps, in: state))
        let aside = try StateReplacement.finish(in: state) ?? "\(state)/.before-restore-2"
        #expect(
            try Set(Files.names(in: state)) == [
                "store", "pki", "lost+found", ".before-restore-1", String(aside.dropFirst(state.count + 1)),
            ])
        #expect(try Set(Files.names(in: aside)) == ["store", "pki", "images"])
        for name in ["store", "pki"] {
            #expect(try Self.read("\(state)/\(name)/file") == "new" && Self.read("\(aside)/\(name)/file") == "old")
        }
        // And nothing more.
        #expect(try StateReplacement.finish(in: state) == nil)
    }
}
