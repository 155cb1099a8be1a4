// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import ControllerRuntime
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import PodRuntime

/// Starting and stopping containers.
extension PodWorker {
    /// The bytes of a termination message that are kept (upstream: MaxContainerTerminationMessageLength).
    private static let messageLimit = 4096

    func start(_ name: String, attempt: Int) async {
        let pod = pod
        guard let container = pod.container(named: name), let sandbox else { return }
        do {
            let image = try await puller(for: pod).ensure(container, of: pod)
            var spec = try await containerSpec(container, attempt: attempt, sandbox)
            spec.processTarget = try processTarget(of: container)
            try checkWanted()
            let started = try await launch(container, spec, image, sandbox)
            mailbox.post(.launched(name, started))
            watch(container, started)
            try await runPostStart(container, started)
            mailbox.post(.startFinished(name, nil))
        } catch let failure as StartFailure {
            mailbox.post(.startFinished(name, failure))
        } catch is CancellationError {
            mailbox.post(.startFinished(name, StartFailure(.create, "context canceled")))
        } catch let error as StatusError {
            mailbox.post(.startFinished(name, StartFailure(.configuration, error.message)))
        } catch {
            mailbox.post(.startFinished(name, StartFailure(.configuration, "\(error)")))
        }
    }

    /// Throws `CancellationError` once the pod ends: nothing of it is to be started any more.
    private func checkWanted() throws(CancellationError) {
        if Task.isCancelled || isEnding { throw CancellationError() }
    }

    /// The instance whose processes an ephemeral container is to see.
    private func processTarget(of container: PodContainer) throws(StartFailure) -> String? {
        guard let name = container.targetName else { return nil }
        guard let target = instance(of: name) else {
            throw StartFailure(.configuration, "unable to find target container \(name)")
        }
        return target.id
    }

    private func puller(for pod: Pod) -> ImagePuller {
        ImagePuller(images: context.images, objects: context.objects) { [context] isWarning, reason, message, name in
            context.event(pod, isWarning: isWarning, reason, message, container: name)
        }
    }

    private func containerSpec(
        _ container: PodContainer, attempt: Int, _ sandbox: Sandbox
    ) async throws -> ContainerSpec {
        let pod = pod
        let environment = ContainerEnvironment(
            pod: pod, container: container, sources: try await sources(for: container),
            node: context.nodeFacts(podAddresses: sandbox.addresses, of: pod))
        let builder = ContainerSpecBuilder(
            pod: pod, container: container, attempt: attempt,
            volumes: context.volumes(of: pod, podAddresses: sandbox.addresses),
            podDirectory: context.configuration.podDirectory(uid), environment: try environment.variables(),
            seccompDirectory: context.configuration.seccompDirectory, nodeMemory: context.machine.memory,
            processLimit: context.configuration.podProcessLimit,
            logsToJournal: context.configuration.logsToJournal)
        return try await builder.build()
    }

    private func sources(for container: PodContainer) async throws -> ContainerEnvironment.Sources {
        var sources = ContainerEnvironment.Sources()
        let names = ContainerEnvironment.references(of: container)
        for name in names.configMaps { sources.configMaps[name] = try await context.objects.get(pod.configMap(name)) }
        for name in names.secrets { sources.secrets[name] = try await context.objects.get(pod.secret(name)) }
        try await waitForServices()
        sources.services = context.services.list()
        return sources
    }

    /// Gives the first list of services a moment to come: a pod that starts with the agent wants to find the API. A node
    /// that is cut off from it starts its pods all the same.
    private func waitForServices() async throws {
        for _ in 0..<50 where !context.services.isSynced { try await Task.sleep(for: .milliseconds(100)) }
    }

    /// Creates and starts an instance; a program that cannot be run leaves one that ended with 128.
    private func launch(
        _ container: PodContainer, _ spec: ContainerSpec, _ image: Image, _ sandbox: Sandbox
    ) async throws -> ContainerInstance {
        let pod = pod
        func tellCreated() {
            context.event(pod, isWarning: false, "Created", "Container created", container: container.name)
        }
        do {
            let id: String
            do {
                id = try await context.runtime.createContainer(spec, image: image, in: sandbox)
            } catch let error as RuntimeError where error.kind == .start {
                tellCreated()
                throw error
            }
            tellCreated()
            do { try checkWanted() } catch {
                await context.runtime.removeContainer(id)
                throw error
            }
            let record = try await context.runtime.startContainer(id)
            context.event(pod, isWarning: false, "Started", "Container started", container: container.name)
            // That it may have ended already, ``watch(_:_:)`` tells, with the message that it left.
            return ContainerInstance(record, exit: nil)
        } catch let error as RuntimeError {
            switch error.kind {
            case .configuration: throw StartFailure(.configuration, error.reason)
            case .start:
                let now = context.clock.now().wallSeconds
                let exit = ContainerExit(
                    exitCode: 128, reason: "StartError", message: error.reason, finishedAt: now)
                let failed = ContainerInstance(
                    id: error.containerID, attempt: spec.attempt, image: spec.image, imageID: image.reference,
                    startedAt: 0, exit: exit)
                mailbox.post(.launched(container.name, failed))
                throw StartFailure(.run, error.reason)
            default: throw StartFailure(.create, error.description)
            }
        } catch let error as ImageError {
            throw StartFailure(.create, error.description)
        }
    }

    /// Has the end of an instance told to the machine.
    func watch(_ container: PodContainer, _ instance: ContainerInstance) {
        context.runtime.watchExit(instance.id) { [weak self] record in
            guard let self, let exit = record.exit else { return }
            self.cancelStart(container.name)
            self.mailbox.post(.exited(container.name, id: record.id, self.end(of: container, record, exit)))
        }
    }

    /// What an earlier run of the agent started, by container, oldest first.
    func adopted(_ found: FoundPod, of pod: Pod) -> [String: [ContainerInstance]] {
        var result: [String: [ContainerInstance]] = [:]
        for container in pod.allContainers {
            result[container.name] = found.records[container.name]?.map { record in
                ContainerInstance(record, exit: record.exit.map { end(of: container, record, $0) })
            }
        }
        return result
    }

    private func end(
        of container: PodContainer, _ record: ContainerRecord, _ exit: ContainerExitStatus
    ) -> ContainerExit {
        var message = context.runtime.terminationMessage(of: record, limit: Self.messageLimit)
        if message.isEmpty, container.fallsBackToLogs, exit.exitCode != 0 || exit.isOutOfMemory {
            message = context.runtime.logTail(of: record, lines: 80, bytes: 2048)
        }
        return ContainerExit(exit, message: message)
    }

    // MARK: Stopping

    func stop(_ name: String, grace: Int, why: StopReason) async {
        guard let container = pod.container(named: name), let instance = instance(of: name), instance.exit == nil,
            !tellEnd(of: container, instance.id)
        else {
            mailbox.post(.stopFinished(name))
            return
        }
        // One that is stopped again, with less grace, or after its hook, has been told of it and has run its hook.
        let isFirst = beginStop(of: name, instance.id)
        if isFirst { context.event(pod, isWarning: false, "Killing", why.message(container: name), container: name) }
        cancelStart(name)
        let began = ContinuousClock.now
        if isFirst, let hook = container.preStop, grace > 0 {
            await runPreStop(hook, container, instance, grace: grace)
        }
        let spent = Int((ContinuousClock.now - began).components.seconds)
        // A hook that took all the time leaves the container a last two seconds (upstream: killContainer).
        let left = grace == 0 ? 0 : max(container.preStop == nil ? 0 : 2, grace - spent)
        await context.runtime.stopContainer(instance.id, grace: left)
        tellEnd(of: container, instance.id)
        mailbox.post(.stopFinished(name))
    }

    /// Runs the preStop hook of a container that has to wait for others' ends (upstream runs the hooks of all at once).
    func runPreStopAhead(_ name: String, grace: Int) async {
        defer { mailbox.post(.preStopFinished(name)) }
        guard let container = pod.container(named: name), let hook = container.preStop,
            let instance = instance(of: name), instance.exit == nil, beginStop(of: name, instance.id)
        else { return }
        let message = StopReason.podEnds.message(container: name)
        context.event(pod, isWarning: false, "Killing", message, container: name)
        await runPreStop(hook, container, instance, grace: grace)
    }

    /// Tells the machine that an instance has ended, if it has: before it hears that the stop is over, because it would stop
    /// again what seems to run.
    ///
    /// - Returns: whether it has ended.
    @discardableResult
    private func tellEnd(of container: PodContainer, _ id: String) -> Bool {
        guard let record = context.runtime.record(id), let exit = record.exit else { return false }
        mailbox.post(.exited(container.name, id: id, end(of: container, record, exit)))
        return true
    }

    // MARK: Hooks

    private func runPostStart(_ container: PodContainer, _ instance: ContainerInstance) async throws {
        guard let hook = container.postStart else { return }
        let handler = ProbeHandler(hook, container: container, podAddress: probeAddress)
        let result = await run(handler, in: instance.id, timeout: nil)
        if result.isSuccess || Task.isCancelled { return }
        context.event(pod, isWarning: false, "Killing", "FailedPostStartHook", container: container.name)
        await context.runtime.stopContainer(instance.id, grace: pod.terminationGracePeriodSeconds)
        // Whoever may read events may not be the one to read what the hook prints (upstream: "so that secrets won't leak").
        throw StartFailure(.postStart, "PostStartHook failed")
    }

    private func runPreStop(
        _ hook: JSON, _ container: PodContainer, _ instance: ContainerInstance, grace: Int
    ) async {
        let handler = ProbeHandler(hook, container: container, podAddress: probeAddress)
        let result = await run(handler, in: instance.id, timeout: grace)
        if !result.isSuccess, !Task.isCancelled {
            context.event(pod, isWarning: true, "FailedPreStopHook", "PreStopHook failed", container: container.name)
        }
    }

    var probeAddress: String {
        addresses.first ?? (pod.hostNetwork ? context.configuration.addresses.first : nil) ?? "127.0.0.1"
    }

    // MARK: Probes

    func probe(_ container: PodContainer, _ instance: ContainerInstance, _ facts: ContainerFacts) async {
        let pod = pod
        let probes = ContainerProbes(
            pod: pod, container: container, podAddress: probeAddress, startupPassed: facts.startupPassed,
            readinessPassed: facts.readinessPassed,
            run: { handler, timeout in await self.run(handler, in: instance.id, timeout: timeout) },
            tell: { kind, success in
                self.mailbox.post(.probe(container.name, id: instance.id, kind, success: success))
            },
            report: { [context] kind, result in
                if !result.isSuccess {
                    context.event(
                        pod, isWarning: true, "Unhealthy", "\(kind.rawValue) probe failed: \(result.output)",
                        container: container.name)
                } else if !result.warning.isEmpty {
                    context.event(
                        pod, isWarning: true, "ProbeWarning", "\(kind.rawValue) probe warning: \(result.warning)",
                        container: container.name)
                }
            }, startedAt: instance.startedAt, clock: context.clock)
        await probes.probe()
    }

    /// Runs a handler once.
    ///
    /// - Parameter timeout: Seconds; nil for as long as it takes.
    func run(_ handler: ProbeHandler, in id: String, timeout: Int?) async -> ProbeResult {
        do {
            guard let timeout else { return try await attempt(handler, in: id) }
            if let result = try await withTimeout(seconds: timeout, { try await self.attempt(handler, in: id) }) {
                return result
            }
            return .failure(Self.timeoutText(handler, timeout))
        } catch {
            return .failure("\(error)")
        }
    }

    private static func timeoutText(_ handler: ProbeHandler, _ timeout: Int) -> String {
        switch handler {
        case .exec(let command): "command timed out: \"\(command.joined(separator: " "))\" timed out after \(timeout)s"
        case .http(let get):
            "Get \"\(get.url)\": context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
        case .tcp(let host, let port): "dial tcp \(HostPort.text(host, port)): i/o timeout"
        default: "context deadline exceeded"
        }
    }

    private func attempt(_ handler: ProbeHandler, in id: String) async throws -> ProbeResult {
        switch handler {
        case .exec(let command):
            let result = try await context.runtime.execute(id, command: command)
            return result.exitCode == 0 ? .success() : .failure(String(decoding: result.output, as: UTF8.self))
        case .http(let get):
            let version = context.configuration.version.dropFirst(1).split(separator: ".").prefix(2)
            let agent = "kube-probe/\(version.joined(separator: "."))"
            do {
                let answer = try await HTTPProber.get(get, userAgent: agent, on: context.eventLoops)
                if (200..<300).contains(answer.status) { return .success() }
                if (300..<400).contains(answer.status) {
                    return .success(warning: "Probe terminated redirects, Response body: \(answer.body)")
                }
                return .failure("HTTP probe failed with statuscode: \(answer.status)")
            } catch {
                return .failure("Get \"\(get.url)\": \(NetworkErrorText.describe(error, get.host, get.port))")
            }
        case .tcp(let host, let port):
            do {
                try await TCPProber.connect(host: host, port: port, on: context.eventLoops)
                return .success()
            } catch {
                return .failure(NetworkErrorText.describe(error, host, port))
            }
        case .grpc(let port, let service):
            let host = probeAddress
            do {
                return try await GRPCHealthProber.check(
                    host: host, port: port, service: service, on: context.eventLoops)
            } catch {
                return .failure(NetworkErrorText.describe(error, host, port))
            }
        case .sleep(let seconds):
            try await Task.sleep(for: .seconds(seconds))
            return .success()
        case .invalid(let why): return .failure(why)
        }
    }
}

extension HTTPGetAction {
    /// As Go prints it in errors.
    var url: String {
        "\(isSecure ? "https" : "http")://\(HostPort.text(host, port))\(path.hasPrefix("/") ? "" : "/")\(path)"
    }
}

extension ContainerInstance {
    /// The instance that the runtime keeps a record of.
    fileprivate init(_ record: ContainerRecord, exit: ContainerExit?) {
        self.init(
            id: record.id, attempt: record.attempt, image: record.image, imageID: record.imageID,
            startedAt: record.startedAt, exit: exit)
        limits = record.limits
        requestedImage = record.requestedImage
        user = record.supplementaryGroups.map {
            ContainerUser(uid: record.user, gid: record.group, supplementaryGroups: $0)
        }
    }
}

extension ContainerExit {
    init(_ exit: ContainerExitStatus, message: String) {
        self.init(
            exitCode: exit.exitCode, signal: 0, reason: exit.reason, message: message, finishedAt: exit.finishedAt)
    }
}
