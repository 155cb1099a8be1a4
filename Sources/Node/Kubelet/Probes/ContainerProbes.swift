// SPDX-License-Identifier: Apache-2.0

import JSON

/// Runs the probes of one instance of a container: the startup probe first, then liveness and readiness side by side.
struct ContainerProbes: Sendable {
    let pod: Pod
    let container: PodContainer
    let podAddress: String
    /// What was found when the agent last looked; a container that is adopted is not unready for a moment.
    let startupPassed: Bool
    let readinessPassed: Bool
    /// Runs a handler once.
    let run: @Sendable (ProbeHandler, _ timeout: Int) async -> ProbeResult
    /// Takes a verdict.
    let tell: @Sendable (ProbeKind, Bool) -> Void
    /// Takes a result for an event, if it is worth one.
    let report: @Sendable (ProbeKind, ProbeResult) -> Void
    /// When the instance started, seconds since 1970.
    let startedAt: Int64
    let clock: Clock

    /// Returns when there is nothing left to probe or the task is cancelled.
    func probe() async {
        if let startup = container.startupProbe, !startupPassed {
            guard await loop(.startup, startup, initially: false, until: true) else { return }
        }
        await withDiscardingTaskGroup { group in
            if let liveness = container.livenessProbe {
                group.addTask { _ = await loop(.liveness, liveness, initially: true, until: false) }
            }
            if let readiness = container.readinessProbe {
                group.addTask { _ = await loop(.readiness, readiness, initially: readinessPassed, until: nil) }
            }
        }
    }

    /// Probes periodically; ends with that verdict, or never.
    private func loop(_ kind: ProbeKind, _ json: JSON, initially: Bool, until end: Bool?) async -> Bool {
        let timing = ProbeTiming(json)
        var counter = ProbeCounter(timing, initially: initially)
        let handler = ProbeHandler(json, container: container, podAddress: podAddress)
        let elapsed = clock.now().wallSeconds - startedAt
        let delay = Int64(timing.initialDelay) - max(0, elapsed)
        // Cancellation ends the sleep, and the loop right after.
        if delay > 0 { try? await Task.sleep(for: .seconds(delay)) }
        while !Task.isCancelled {
            let result = await run(handler, timing.timeout)
            if Task.isCancelled { return false }
            report(kind, result)
            if counter.count(result.isSuccess) {
                tell(kind, counter.verdict)
                if counter.verdict == end { return true }
                // A failed startup or liveness probe has done its work: the container is stopped.
                if !counter.verdict, kind != .readiness { return false }
            } else if kind == .startup, !result.isSuccess, counter.failed {
                tell(.startup, false)
                return false
            }
            // As above.
            try? await Task.sleep(for: .seconds(timing.period))
        }
        return false
    }
}

extension ProbeCounter {
    /// Whether failures have reached the threshold, though the verdict was a failure from the beginning.
    var failed: Bool { !verdict && hasFailedThreshold }
}
