// SPDX-License-Identifier: Apache-2.0

import PKI

/// What has to be done next, from the facts alone.
extension PodMachine {
    mutating func plan(now: Moment) {
        wakeUp = nil
        if isFinished { return }
        if activeSince == nil { activeSince = now.uptimeMilliseconds - activeTime(before: now) * 1000 }
        checkDeletion(now)
        checkDeadline(now)
        if ending == nil { checkCompletion(now) }
        if ending == nil { advance(now) } else { tearDown(now) }
        if let wakeUp { actions.append(.wakeUp(at: wakeUp)) }
    }

    mutating func wake(at uptime: Int64) { wakeUp = min(wakeUp ?? uptime, uptime) }

    // MARK: Reasons to end

    private mutating func checkDeletion(_ now: Moment) {
        guard let grace = pod.deletionGracePeriodSeconds else { return }
        if case .deleted(let known) = ending, known <= grace { return }
        let wasStopping = ending != nil
        end(.deleted(grace: grace), now)
        // A shorter grace than before, or the first notice: the containers' stops are (re)started by tearDown.
        if wasStopping {
            endingSince = now.uptimeMilliseconds
            for (name, known) in facts where known.isStopping { update(name) { $0.operation = nil } }
        }
    }

    /// Seconds that the pod was active before an earlier run of the agent handed it over. The wall clock tells as far as it was
    /// set then and is now; the time before that does not count.
    private func activeTime(before now: Moment) -> Int64 {
        guard Validity.isClockSet(startTime), Validity.isClockSet(now.wallSeconds) else { return 0 }
        return max(0, now.wallSeconds - startTime)
    }

    private mutating func checkDeadline(_ now: Moment) {
        guard ending == nil, let seconds = pod.activeDeadlineSeconds else { return }
        let deadline = (activeSince ?? now.uptimeMilliseconds) + Int64(seconds) * 1000
        if deadline > now.uptimeMilliseconds { return wake(at: deadline) }
        end(
            .failed(
                reason: "DeadlineExceeded", message: "Pod was active on the node longer than the specified deadline",
                grace: pod.terminationGracePeriodSeconds), now)
        actions.append(
            .event(
                isWarning: false, reason: "DeadlineExceeded",
                message: "Pod was active on the node longer than the specified deadline", container: nil))
    }

    /// Ends the pod when an init container failed for good or all main containers are done.
    private mutating func checkCompletion(_ now: Moment) {
        let initFailed = pod.initContainers.contains { container in
            guard container.kind == .initial, let exit = facts[container.name]?.current?.exit else { return false }
            return exit.exitCode != 0 && !container.restarts(afterExit: exit.exitCode)
        }
        let mainsDone =
            !pod.containers.isEmpty
            && pod.containers.allSatisfy { container in
                guard let known = facts[container.name], let exit = known.current?.exit, known.operation == nil else {
                    return false
                }
                return !container.restarts(afterExit: exit.exitCode) && !known.comesBack
            }
        if initFailed && !hasMainStarted || mainsDone { end(.completed, now) }
    }

    /// Whether any main container has had an instance: then init containers are not run again.
    var hasMainStarted: Bool {
        pod.containers.contains { known in
            facts[known.name]?.current != nil && facts[known.name]?.isInSandbox == true
        }
    }

    // MARK: Going forward

    private mutating func advance(_ now: Moment) {
        let uptime = now.uptimeMilliseconds
        if volumes == .none {
            if let retry = volumesRetryAt, retry > uptime {
                wake(at: retry)
            } else {
                volumes = .mounting
                actions.append(.mountVolumes)
            }
        }
        if sandbox == .none {
            if let retry = sandboxRetryAt, retry > uptime {
                wake(at: retry)
            } else {
                sandbox = .creating
                actions.append(.createSandbox)
            }
        }
        guard volumes == .ready, case .ready = sandbox else { return }
        // Also while init containers run, and without holding up anything: they are there to find out what goes wrong.
        for container in pod.ephemeralContainers { ensureRunning(container, now) }
        replaceImages(now)
        if !advanceResize(now) { return }
        if !advanceInitContainers(now) { return }
        for container in pod.containers {
            // One at a time: a postStart hook holds up the containers after it (upstream: SyncPod).
            ensureRunning(container, now)
            if facts[container.name]?.operation == .starting { return }
        }
    }

    /// Stops what runs with another image than the spec names now (upstream: containerChanged); it comes back whatever its
    /// restart policy says.
    private mutating func replaceImages(_ now: Moment) {
        for container in pod.initContainers + pod.containers where [.sidecar, .main].contains(container.kind) {
            guard let known = facts[container.name], known.isRunning, known.operation == nil,
                let image = known.current?.requestedImage, image != container.image
            else { continue }
            update(container.name) { $0.comesBack = true }
            stop(container, grace: pod.terminationGracePeriodSeconds, why: .definitionChanged, now)
        }
    }

    /// Runs init containers in order and keeps sidecars up; true when the main containers may run.
    private mutating func advanceInitContainers(_ now: Moment) -> Bool {
        let mayRunAgain = !hasMainStarted
        for container in pod.initContainers {
            let known = facts[container.name] ?? ContainerFacts()
            switch container.kind {
            case .sidecar:
                ensureRunning(container, now)
                let state = facts[container.name] ?? ContainerFacts()
                if mayRunAgain, !(state.isRunning && state.hasStarted && state.startupPassed) { return false }
            case .initial, .main, .ephemeral:
                if !mayRunAgain || known.current?.exit?.exitCode == 0 && known.isInSandbox { continue }
                ensureRunning(container, now)
                return false
            }
        }
        return true
    }

    /// Starts the container unless it runs, is done, or has to wait.
    private mutating func ensureRunning(_ container: PodContainer, _ now: Moment) {
        let uptime = now.uptimeMilliseconds
        guard let known = facts[container.name], known.operation == nil, !known.isRunning else { return }
        if let retry = known.retryAt, retry > uptime {
            // The error itself is shown for a moment before the back-off.
            let shownUntil = retry - (known.imageBackoff.current ?? 0) + Self.errorShownFor
            if known.waiting?.reason == "ErrImagePull" {
                if uptime < shownUntil { return wake(at: shownUntil) }
                showImageBackoff(container, known)
            }
            wake(at: retry)
            return
        }
        if let exit = known.current?.exit, known.isInSandbox || container.kind != .initial, !known.comesBack {
            guard container.restarts(afterExit: exit.exitCode) else { return }
            let endedAt = known.endedAt ?? uptime
            let wait = known.restartBackoff.remaining(failedAt: endedAt, now: uptime)
            if wait > 0 {
                showCrashLoop(container, known)
                wake(at: uptime + wait)
                return
            }
            update(container.name) { $0.restartBackoff.advance(failedAt: endedAt, now: uptime) }
        }
        update(container.name) { facts in
            facts.operation = .starting
            facts.startedImage = container.image
            facts.retryAt = nil
        }
        actions.append(.startContainer(container.name, attempt: known.attempts))
    }

    private mutating func showCrashLoop(_ container: PodContainer, _ known: ContainerFacts) {
        guard known.waiting?.reason != "CrashLoopBackOff" else { return }
        let message =
            "back-off \(known.restartBackoff.text) restarting failed container=\(container.name) pod=\(pod.longName)"
        update(container.name) { $0.waiting = WaitingReason("CrashLoopBackOff", message) }
        actions += [
            .event(
                isWarning: true, reason: "BackOff",
                message: "Back-off restarting failed container \(container.name) in pod \(pod.longName)",
                container: container.name), .publishStatus,
        ]
    }

    private mutating func showImageBackoff(_ container: PodContainer, _ known: ContainerFacts) {
        let cause = known.waiting?.message ?? ""
        let text = "Back-off pulling image \"\(container.image)\""
        update(container.name) { $0.waiting = WaitingReason("ImagePullBackOff", "\(text): ErrImagePull: \(cause)") }
        actions += [
            .event(isWarning: false, reason: "BackOff", message: text, container: container.name),
            .event(isWarning: true, reason: "Failed", message: "Error: ImagePullBackOff", container: container.name),
        ]
        actions.append(.publishStatus)
    }

    // MARK: Ending

    private mutating func tearDown(_ now: Moment) {
        let running = pod.allContainers.filter { facts[$0.name]?.isRunning == true }
        let starting = pod.allContainers.contains { facts[$0.name]?.operation == .starting }
        stopNext(running, now)
        guard running.isEmpty, !starting, facts.values.allSatisfy({ $0.operation == nil }) else { return }
        if case .mounting = volumes { return }
        if case .creating = sandbox { return }
        cleanUp()
        guard sandbox == .removed, volumes == .removed, case .deleted = ending else { return }
        isFinished = true
        actions += [.publishStatus, .finishDeletion]
    }

    /// Stops main, init and ephemeral containers at once, then the sidecars one by one from the last. All of their preStop hooks
    /// run from the beginning (upstream: killContainersWithSyncResult).
    private mutating func stopNext(_ running: [PodContainer], _ now: Moment) {
        let grace = remainingGrace(now)
        let others = running.filter { $0.kind != .sidecar }
        if !others.isEmpty {
            for container in others { stopOnce(container, grace: grace, now) }
        } else if let sidecar = running.last {
            // The end of the pod's time ends the wait for a hook.
            let deadline = (endingSince ?? now.uptimeMilliseconds) + Int64(wholeGrace) * 1000
            if facts[sidecar.name]?.isInPreStop == true, now.uptimeMilliseconds < deadline {
                wake(at: deadline)
            } else {
                stopOnce(sidecar, grace: grace, now)
            }
        }
        for sidecar in running where sidecar.kind == .sidecar { runPreStopOnce(sidecar, grace: grace) }
    }

    private mutating func runPreStopOnce(_ container: PodContainer, grace: Int) {
        guard container.preStop != nil, grace > 0, let known = facts[container.name], known.operation == nil,
            let id = known.current?.id, known.preStopInstance != id
        else { return }
        update(container.name) { facts in
            facts.preStopInstance = id
            facts.isInPreStop = true
        }
        actions.append(.runPreStop(container.name, grace: grace))
    }

    private mutating func stopOnce(_ container: PodContainer, grace: Int, _ now: Moment) {
        guard let known = facts[container.name], known.isRunning else { return }
        switch known.operation {
        case .starting:
            // The start is cut short: the process ends, the hook with it.
            if known.current != nil { stop(container, grace: grace, why: .podEnds, now) }
        case .stopping(let deadline):
            let wanted = now.uptimeMilliseconds + Int64(grace) * 1000
            if wanted + 1000 < deadline { stop(container, grace: grace, why: .podEnds, now) }
        case nil: stop(container, grace: grace, why: .podEnds, now)
        }
    }

    /// Seconds that the pod's end may take.
    private var wholeGrace: Int {
        switch ending {
        case .deleted(let grace): grace
        case .failed(_, _, let grace), .suspended(let grace): grace
        case .completed, nil: pod.terminationGracePeriodSeconds
        }
    }

    private func remainingGrace(_ now: Moment) -> Int {
        let whole = wholeGrace
        let spent = Int((now.uptimeMilliseconds - (endingSince ?? now.uptimeMilliseconds)) / 1000)
        // Sidecars that come late still get a moment (upstream: minimumGracePeriodInSeconds).
        return min(whole, max(2, whole - spent))
    }

    private mutating func cleanUp() {
        // Nothing that is known is not nothing that is there: an attempt that failed, or an earlier run of the agent, may
        // have left parts of it.
        switch sandbox {
        case .none, .ready:
            sandbox = .removing
            actions.append(.removeSandbox)
        case .creating, .removing, .removed: break
        }
        switch volumes {
        case .none, .ready:
            // Mounts inside the sandbox's containers are gone by now.
            volumes = .unmounting
            actions.append(.unmountVolumes)
        case .mounting, .unmounting, .removed: break
        }
    }
}
