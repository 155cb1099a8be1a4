// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// A scope of systemd that does not outlive its processes (systemd.scope(5)): a control group that systemd knows, limits and
/// shows, and whose inside is its maker's.
package struct TransientScope: Hashable, Sendable {
    /// `NAME.scope`
    package var name: String
    package var description: String
    /// The slice that it lies in, `NAME.slice`; made if it is missing.
    package var slice: String
    /// Its first processes.
    package var processes: [Int32]
    /// The cgroup v1 controllers whose groups inside are its maker's. systemd gives away by itself only what v2 has: in the
    /// hierarchies of others it removes groups without processes whenever it looks at the scope again. Empty for v2.
    package var legacyControllers: [String] = []
    /// 1...10000; nil for systemd's default.
    package var cpuWeight: UInt64?
    /// Microseconds of CPU time in a second; nil for no limit.
    package var cpuQuota: UInt64?
    /// Bytes; nil for no limit.
    package var memoryMax: UInt64?
    /// Processes and threads; nil for no limit.
    package var tasksMax: UInt64?
    /// Units that stop before it does when the machine goes down.
    package var stopsAfter: [String] = []
    /// How long its processes may take to end when it is stopped from outside.
    package var stopTimeout = Duration.seconds(10)

    package init(name: String, description: String, slice: String, processes: [Int32]) {
        self.name = name
        self.description = description
        self.slice = slice
        self.processes = processes
    }

    /// As StartTransientUnit takes them (org.freedesktop.systemd1(5)).
    var properties: [BusValue] {
        var result: [BusValue] = [
            .property("Description", .string(description)), .property("Slice", .string(slice)),
            .property("PIDs", .array(of: "u", processes.map { .uint32(UInt32(bitPattern: $0)) })),
            legacyControllers.isEmpty
                ? .property("Delegate", .boolean(true))
                : .property("DelegateControllers", .array(of: "s", legacyControllers.map { .string($0) })),
            .property("CollectMode", .string("inactive-or-failed")),
            .property("TimeoutStopUSec", .uint64(UInt64(stopTimeout.components.seconds) * 1_000_000)),
        ]
        result += limits
        // Units stop in the reverse of the order in which they start.
        if !stopsAfter.isEmpty {
            result.append(.property("Before", .array(of: "s", stopsAfter.map { .string($0) })))
        }
        return result
    }

    /// What can change while the scope runs.
    var limits: [BusValue] {
        // systemd's defaults are for sessions of users: a share of what the machine can have.
        var result: [BusValue] = [
            .property("TasksMax", .uint64(tasksMax ?? .max)), .property("MemoryMax", .uint64(memoryMax ?? .max)),
            .property("CPUQuotaPerSecUSec", .uint64(cpuQuota ?? .max)),
        ]
        if let cpuWeight { result.append(.property("CPUWeight", .uint64(cpuWeight))) }
        return result
    }
}

/// systemd's manager (org.freedesktop.systemd1(5)). Every method connects, calls and waits; use it on a thread that may block.
package enum ServiceManager {
    private static let target = BusConnection.Target(
        "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
    /// How long a job of the manager may take: longer than ``TransientScope/stopTimeout``.
    private static let jobTimeout = Duration.seconds(30)

    /// Whether systemd is the machine's first process and answers this one.
    package static var isReachable: Bool {
        // As sd_booted(3) looks; without it nothing is logged or waited for.
        guard Files.exists("/run/systemd/system") else { return false }
        // Whatever keeps it from answering: then it is of no use.
        return (try? state()) != nil
    }

    /// `starting`, `running`, `degraded`, `stopping` and others (systemctl(1), is-system-running).
    package static func state() throws(BusError) -> String {
        try BusConnection.serviceManager().property(target, "SystemState").text ?? ""
    }

    /// Starts a scope, and returns when its processes are in it.
    ///
    /// - Throws: ``BusError``; its name is ``unitExists`` where there is one of that name.
    package static func start(_ scope: TransientScope) throws(BusError) {
        let connection = try BusConnection.serviceManager()
        let reply = try connection.call(
            target, "StartTransientUnit",
            [
                .string(scope.name), .string("fail"), .array(of: "(sv)", scope.properties),
                .array(of: "(sa(sv))", []),
            ])
        try finish(reply, connection, "starting \(scope.name)")
    }

    /// The error's name where a unit exists already.
    package static let unitExists = "org.freedesktop.systemd1.UnitExists"
    private static let noSuchUnit = "org.freedesktop.systemd1.NoSuchUnit"

    /// Moves a process into a scope that runs, or into a group in it, `/name`, which its maker has made.
    ///
    /// - Throws: ``BusError``, also where the scope has ended: from the return on it lasts as long as the process.
    package static func attach(_ process: Int32, to scope: String, below group: String = "") throws(BusError) {
        try BusConnection.serviceManager().call(
            target, "AttachProcessesToUnit",
            [.string(scope), .string(group), .array(of: "u", [.uint32(UInt32(bitPattern: process))])])
    }

    /// Gives a scope that runs its limits anew.
    package static func limit(_ scope: TransientScope) throws(BusError) {
        try BusConnection.serviceManager().call(
            target, "SetUnitProperties",
            [.string(scope.name), .boolean(true), .array(of: "(sv)", scope.limits)])
    }

    /// Gives a unit its weight beside its siblings, 1...10000, until the machine goes down; also one that does not run yet, such
    /// as a slice that nothing lies in.
    package static func setCPUWeight(_ weight: UInt64, of unit: String) throws(BusError) {
        try BusConnection.serviceManager().call(
            target, "SetUnitProperties",
            [.string(unit), .boolean(true), .array(of: "(sv)", [.property("CPUWeight", .uint64(weight))])])
    }

    /// Stops a unit and everything that lies in it; one that there is not is no error.
    package static func stop(_ unit: String) throws(BusError) {
        let connection = try BusConnection.serviceManager()
        do {
            let reply = try connection.call(target, "StopUnit", [.string(unit), .string("replace")])
            try finish(reply, connection, "stopping \(unit)")
        } catch {
            if error.name != noSuchUnit { throw error }
        }
    }

    /// Sends a signal to a unit's main process.
    package static func signal(_ unit: String, _ signal: Int32) throws(BusError) {
        try BusConnection.serviceManager().call(
            target, "KillUnit", [.string(unit), .string("main"), .int32(signal)])
    }

    /// Waits for the end of the job that a reply names.
    private static func finish(
        _ reply: BusMessage, _ connection: BusConnection, _ attempt: String
    ) throws(BusError) {
        guard let job = try reply.values().first?.text else {
            throw BusError(attempt, name: "System.Error.EBADMSG", message: "systemd named no job")
        }
        let deadline = ContinuousClock.now + jobTimeout
        while case .signal(let signal) = try connection.nextSignal(timeout: deadline - .now) {
            guard signal.member == "JobRemoved" else { continue }
            // The number, the job, its unit and the result.
            let values = try signal.values()
            guard values.count == 4, values[1].text == job else { continue }
            let result = values[3].text ?? ""
            if result == "done" { return }
            throw BusError(
                attempt, name: "org.freedesktop.systemd1.JobFailed", message: "the job's result is \(result)")
        }
        throw BusError(
            attempt, name: "System.Error.ETIMEDOUT", message: "the job is not finished after \(jobTimeout)")
    }
}
