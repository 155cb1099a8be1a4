// SPDX-License-Identifier: Apache-2.0

import HostChecks
import Testing

@testable import SwiftletCore

@Suite struct HostWatchMachineTests {
    private func warning(_ id: String, _ topic: Finding.Topic, _ summary: String = "") -> Finding {
        Finding(id, topic, .warning, summary)
    }

    @Test func powerIsLookedAtMoreOftenWhereItTells() {
        var silent = HostWatchMachine([], watchesPower: false)
        for _ in 0..<3 {
            let (wait, look) = silent.next()
            #expect(wait == .seconds(3600))
            #expect(look == .everything)
        }
        var telling = HostWatchMachine([], watchesPower: true)
        for _ in 0..<2 {
            var looks: [HostLook] = []
            var time = Duration.zero
            while looks.last != .everything {
                let (wait, look) = telling.next()
                looks.append(look)
                time += wait
            }
            #expect(time == .seconds(3600))
            #expect(looks.count == 12)
            #expect(looks.filter { $0 == .everything }.count == 1)
        }
    }

    @Test func changesAreToldOnce() {
        let disk = warning("DiskSmall", .storage, "1000 MiB")
        var machine = HostWatchMachine([disk, Finding("ClockSet", .clock, .ok, "")], watchesPower: true)
        #expect(machine.problems == [disk])
        // Other figures are no news.
        let figures = machine.found([warning("DiskSmall", .storage, "900 MiB")], by: .everything)
        #expect(figures == nil)
        let voltage = warning("UnderVoltage", .power)
        let appeared = machine.found([voltage], by: .power)
        #expect(appeared == .init(appeared: [voltage], gone: []))
        #expect(Set(machine.problems) == [disk, voltage])
        let again = machine.found([voltage], by: .power)
        #expect(again == nil)
        // A look at the power says nothing about the disk.
        let healed = machine.found([], by: .power)
        #expect(healed == .init(appeared: [], gone: [voltage]))
        let freed = machine.found([], by: .everything)
        #expect(freed == .init(appeared: [], gone: [disk]))
        #expect(machine.problems.isEmpty)
    }

    @Test func theWorstIsTheFirst() {
        let bad = Finding("FileSystemUnfit", .storage, .error, "")
        #expect(
            HostWatchMachine.problems([
                warning("A", .clock), bad, warning("B", .clock), Finding("C", .clock, .info, ""),
            ])
            .map(\.id) == ["FileSystemUnfit", "A", "B"])
    }
}
