// SPDX-License-Identifier: Apache-2.0

import HostChecks
import Kubelet
import Logging
import NIOPosix

/// What a look at the machine covers.
enum HostLook: Sendable, Hashable {
    case everything
    /// Supply voltage and temperature: a few reads from /sys.
    case power
}

/// When the machine is looked at again, and what has changed since. Pure.
struct HostWatchMachine: Sendable {
    /// An examination takes milliseconds; most of what it finds changes only when somebody does something.
    static let interval = Duration.seconds(3600)
    /// A supply that is too weak or a processor that is too hot shows under load, and goes again.
    static let powerInterval = Duration.seconds(300)

    /// What appeared and what has gone.
    struct Change: Sendable, Hashable {
        var appeared: [Finding]
        var gone: [Finding]
    }

    /// What is wrong, the worst first.
    private(set) var problems: [Finding]
    private let watchesPower: Bool
    private var untilEverything = HostWatchMachine.interval

    /// - Parameters:
    ///   - findings: of the examination at the start.
    ///   - watchesPower: whether the machine tells about its supply.
    init(_ findings: [Finding], watchesPower: Bool) {
        problems = Self.problems(findings)
        self.watchesPower = watchesPower
    }

    /// What the Node tells of: everything from warnings on.
    static func problems(_ findings: [Finding]) -> [Finding] {
        findings.filter { $0.severity >= .warning }.sorted { ($0.severity, $1.id) > ($1.severity, $0.id) }
    }

    /// How long to wait, and what to look at then.
    mutating func next() -> (wait: Duration, look: HostLook) {
        guard watchesPower, untilEverything > Self.powerInterval else {
            let wait = untilEverything
            untilEverything = Self.interval
            return (wait, .everything)
        }
        untilEverything -= Self.powerInterval
        return (Self.powerInterval, .power)
    }

    /// Takes in what a look found; nil if the same things are wrong as before, though perhaps with other figures.
    mutating func found(_ findings: [Finding], by look: HostLook) -> Change? {
        var now = Self.problems(findings)
        if look == .power { now = Self.problems(problems.filter { $0.topic != .power } + now) }
        let (old, new) = (Set(problems.map(\.id)), Set(now.map(\.id)))
        guard old != new else { return nil }
        let change = Change(
            appeared: now.filter { !old.contains($0.id) }, gone: problems.filter { !new.contains($0.id) })
        problems = now
        return change
    }
}

/// Looks at the machine from time to time and has the Node tell what is wrong now.
struct HostWatch: Sendable {
    let configuration: Configuration
    /// What was found at the start.
    let findings: [Finding]
    let logger: Logger
    /// Told the problems when they have changed.
    let changed: @Sendable ([KubeletConfiguration.HostProblem]) async -> Void

    /// Runs until it is cancelled.
    func run() async throws {
        var machine = HostWatchMachine(findings, watchesPower: NodeChecks.tellsPower)
        while true {
            let (wait, look) = machine.next()
            // Nobody waits for it, so it wakes the processor together with something else.
            try await Task.sleep(for: wait, tolerance: wait / 10)
            let found = try await NIOThreadPool.singleton.runIfActive { [configuration] in
                NodeChecks.examine(configuration, look)
            }
            guard let change = machine.found(found, by: look) else { continue }
            NodeChecks.log(change.appeared, logger)
            for finding in change.gone {
                logger.notice("No longer so: \(finding.summary)", metadata: ["finding": "\(finding.id)"])
            }
            await changed(NodeChecks.hostProblems(machine.problems))
        }
    }
}
