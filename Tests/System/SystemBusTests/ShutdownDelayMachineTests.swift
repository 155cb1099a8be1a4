// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import SystemBus

@Suite struct ShutdownDelayMachineTests {
    @Test func aLockIsTakenAndTheShutdownTold() {
        var machine = ShutdownDelayMachine()
        #expect(machine.handle(.appeared) == [.takeLock])
        #expect(machine.handle(.locked(delay: .seconds(30))) == [.tell(.armed(.seconds(30)))])
        #expect(machine.handle(.preparing(true)) == [.tell(.begins)])
        #expect(machine.handle(.preparing(true)) == [])
    }

    @Test func aCancelledShutdownLeavesANewLock() {
        var machine = ShutdownDelayMachine()
        _ = machine.handle(.appeared)
        _ = machine.handle(.locked(delay: .seconds(30)))
        _ = machine.handle(.preparing(true))
        #expect(machine.handle(.preparing(false)) == [.tell(.cancelled), .takeLock])
        #expect(machine.handle(.locked(delay: .seconds(30))) == [.tell(.armed(.seconds(30)))])
        #expect(machine.handle(.preparing(false)) == [])
    }

    @Test func aRestartedLoginManagerIsAskedAgain() {
        var machine = ShutdownDelayMachine()
        _ = machine.handle(.appeared)
        _ = machine.handle(.locked(delay: .seconds(5)))
        #expect(machine.handle(.appeared) == [.takeLock])
        _ = machine.handle(.preparing(true))
        // It would refuse now.
        #expect(machine.handle(.appeared) == [])
    }

    @Test func aMissingLoginManagerIsToldOnce() {
        var machine = ShutdownDelayMachine()
        _ = machine.handle(.appeared)
        let refusal = ShutdownDelayMachine.Input.refused(
            name: "org.freedesktop.DBus.Error.ServiceUnknown", why: "nobody")
        #expect(machine.handle(refusal) == [.tell(.unavailable("nobody"))])
        #expect(machine.handle(.appeared) == [.takeLock])
        #expect(machine.handle(refusal) == [])
        #expect(machine.handle(.locked(delay: .seconds(1))) == [.tell(.armed(.seconds(1)))])
        #expect(machine.handle(refusal) == [.tell(.unavailable("nobody"))])
    }

    /// An agent that starts while the machine goes down.
    @Test func aLockThatComesTooLateMeansAShutdown() {
        var machine = ShutdownDelayMachine()
        _ = machine.handle(.appeared)
        let late = ShutdownDelayMachine.Input.refused(name: ShutdownDelayMachine.tooLate, why: "too late")
        #expect(machine.handle(late) == [.tell(.begins)])
    }

    @Test func aScopeIsDelegatedAndLimited() {
        var scope = TransientScope(name: "a-b.scope", description: "A", slice: "a.slice", processes: [7])
        scope.memoryMax = 1 << 20
        scope.cpuQuota = 200_000
        scope.stopsAfter = ["x.service"]
        let properties = scope.properties
        #expect(properties.contains(.property("PIDs", .array(of: "u", [.uint32(7)]))))
        #expect(properties.contains(.property("Delegate", .boolean(true))))
        #expect(properties.contains(.property("MemoryMax", .uint64(1 << 20))))
        #expect(properties.contains(.property("CPUQuotaPerSecUSec", .uint64(200_000))))
        // No limit is said in so many words: the default is another.
        #expect(properties.contains(.property("TasksMax", .uint64(.max))))
        #expect(properties.contains(.property("Before", .array(of: "s", [.string("x.service")]))))
        #expect(properties.allSatisfy { $0.signature == "(sv)" })
    }

    /// With `Delegate` alone systemd keeps those controllers that only cgroup v1 has.
    @Test func onVersion1AScopeIsGivenItsControllersByName() {
        var scope = TransientScope(name: "a-b.scope", description: "A", slice: "a.slice", processes: [7])
        scope.legacyControllers = ["memory", "devices"]
        let names = BusValue.array(of: "s", [.string("memory"), .string("devices")])
        #expect(scope.properties.contains(.property("DelegateControllers", names)))
        #expect(!scope.properties.contains(.property("Delegate", .boolean(true))))
    }
}
