// SPDX-License-Identifier: Apache-2.0

import HostChecks
package import JSON
import KubeAPI
import KubeClient
import LinuxSystem
package import Logging

/// Examines a node that has trouble and writes what helps to understand it into one archive, without secrets.
///
/// It needs neither the agent nor the API: what cannot be had is named in the bundle's `omitted` and left out.
package struct Inspection: Sendable {
    /// Seconds that the API may take for everything.
    private static let patience = Duration.seconds(20)

    private let configuration: Configuration
    /// The configuration file; it may be missing.
    private let configurationFile: String
    private let logLines: Int
    private let logger: Logger

    /// - Parameter logLines: lines of the agent's log at most.
    package init(_ configuration: Configuration, configurationFile: String, logLines: Int, logger: Logger) {
        self.configuration = configuration
        self.configurationFile = configurationFile
        self.logLines = logLines
        self.logger = logger
    }

    /// What an inspection found and where its bundle is.
    package struct Outcome: Sendable {
        package var file: String
        package var bytes: UInt64
        package var findings: [InspectionFinding]
        /// What is not in the bundle, and why.
        package var omitted: [String]

        package var json: JSON {
            [
                "bundle": .string(file), "bytes": JSON(Int(clamping: bytes)),
                "findings": .array(findings.map(\.json)), "omitted": JSON(omitted),
            ]
        }
    }

    /// What the API told.
    private struct Cluster: Sendable {
        var overview: [String: [JSON]] = [:]
        var counts: [String: Int] = [:]
        var error: String?
    }

    /// The name of a bundle of this node, made now: `swiftlet-inspect-board1-2026-01-31T120000Z.tar.gz`.
    package func defaultName() -> String {
        let time = FileTime.now().rfc3339.prefix(19).filter { $0 != ":" }
        // Without a usable name the machine is examined all the same.
        let node = (try? NodeIdentity.name(configuration)) ?? "node"
        return "swiftlet-inspect-\(node)-\(time)Z.tar.gz"
    }

    /// Examines the node and writes the bundle, which appears whole and with mode 0600, or not at all.
    ///
    /// - Throws: ``Program/Failure`` or ``SystemError`` with what kept it from being written.
    package func run(to target: String) async throws -> Outcome {
        let isRunning = AgentProcess.find(configuration) != nil
        let status = await nodeStatus()
        let checks = NodeChecks.examine(configuration, includesPorts: !isRunning)
        let cluster = status.apiAnswers ? await askCluster() : Cluster()
        var secrets = SecretCollection()
        secrets.addFiles(of: configuration)
        var storeError: String?
        do { try secrets.addStore(of: configuration) } catch { storeError = "\(error)" }
        let redaction = Redaction(secrets.known)
        let findings = InspectionJudgement.findings(
            status: status, isAgentRunning: isRunning, checks: checks,
            nodes: cluster.overview["nodes"] ?? [], pods: cluster.overview["pods"] ?? []
        ).map { finding in
            var finding = finding
            finding.summary = redaction.clean(finding.summary)
            return finding
        }
        var contents = BundleContents(redaction)
        if let storeError {
            contents.omit("knowledge of the cluster's Secrets", "\(storeError); look for them in the logs yourself")
        }
        contents.add("findings.json", .array(findings.map(\.json)))
        contents.add("status.json", status.json)
        contents.add("checks.json", .array(checks.map(\.json)))
        contents.add("version.json", versions)
        addConfiguration(to: &contents)
        add(cluster, to: &contents)
        MachineRecord(configuration: configuration, logLines: logLines).add(to: &contents)
        contents.add("omitted.txt", contents.omitted.map { $0 + "\n" }.joined())
        let bytes = try Self.write(contents.files, to: target)
        return Outcome(file: target, bytes: bytes, findings: findings, omitted: contents.omitted)
    }

    private func nodeStatus() async -> NodeStatusReport {
        do {
            return try await NodeStatusReport.read(configuration, logger: logger)
        } catch {
            // The machine has no usable name: that is what is wrong.
            var status = NodeStatusReport(
                apiAnswers: false, apiError: "\(error)", nodeName: "", isReady: false, readyMessage: "", pods: 0,
                runningPods: 0)
            status.local = LocalStatus.read(configuration)
            return status
        }
    }

    private var versions: JSON {
        ["swiftlet": .string(ProductVersion.swiftlet), "kubernetes": .string(ProductVersion.kubernetes)]
    }

    /// The file without its comments, which may hold anything.
    private func addConfiguration(to contents: inout BundleContents) {
        guard Files.exists(configurationFile) else { return contents.omit("configuration.yaml", "there is no file") }
        let redaction = contents.redaction
        contents.attempt("configuration.yaml") {
            try YAMLDocument.text(redaction.clean(YAMLDocument.parse(try Files.readText(configurationFile))))
        }
    }

    // MARK: The API

    private func add(_ cluster: Cluster, to contents: inout BundleContents) {
        if let error = cluster.error { contents.omit("objects", error) }
        for (name, objects) in cluster.overview.sorted(by: { $0.key < $1.key }) {
            contents.add("objects/\(name).json", .array(objects))
        }
        if !cluster.counts.isEmpty {
            contents.add(
                "objects/counts.json",
                .object(
                    JSONObject(cluster.counts.sorted { $0.key < $1.key }.map { (key: $0.key, value: JSON($0.value)) })))
        }
    }

    private func askCluster() async -> Cluster {
        let access = ClusterAccess(configuration, logger: logger)
        do {
            return try await withThrowingTaskGroup(of: Cluster?.self) { group in
                group.addTask { try await access.asLocalIdentity { await Self.read($0) } }
                group.addTask {
                    try await Task.sleep(for: Self.patience)
                    return nil
                }
                let first = try await group.next() ?? nil
                group.cancelAll()
                var late = Cluster()
                late.error = "the API took longer than \(Self.patience)"
                return first ?? late
            }
        } catch {
            var failed = Cluster()
            failed.error = "\(error)"
            return failed
        }
    }

    private static func read(_ client: HTTPSClient) async -> Cluster {
        var cluster = Cluster()
        for kind in ObjectOverview.kinds {
            let items = await list(kind.resource, client, &cluster)
            cluster.overview[kind.resource.resource] = items.prefix(ObjectOverview.limit).map(kind.show)
        }
        let events = await list(.events, client, &cluster).sorted {
            ($0.json["lastTimestamp"]?.string ?? "") < ($1.json["lastTimestamp"]?.string ?? "")
        }
        cluster.overview["events"] = events.suffix(ObjectOverview.eventLimit).map(ObjectOverview.event)
        for resource in ObjectOverview.counted {
            cluster.counts[resource.resource] = await list(resource, client, &cluster).count
        }
        return cluster
    }

    /// All objects of a kind; a kind that this node may not list has none.
    private static func list(
        _ resource: GroupVersionResource, _ client: HTTPSClient, _ cluster: inout Cluster
    ) async -> [KubeObject] {
        do {
            return try await client.list(resource, namespace: nil, options: .init()).items
        } catch {
            cluster.error = [cluster.error, "\(resource.resource): \(error)"].compactMap { $0 }.joined(separator: "; ")
            return []
        }
    }

    // MARK: Writing

    private static func write(_ files: [BundleContents.File], to target: String) throws -> UInt64 {
        let name = target.split(separator: "/").last.map(String.init) ?? target
        let root = name.split(separator: ".").first.map(String.init) ?? "swiftlet-inspect"
        let work = "\(target).\(Processes.current).unfinished"
        try Files.removeTree(work)
        try Files.makeDirectory(work, permissions: 0o700)
        // What is left behind if this fails too has a name that says so.
        defer { try? Files.removeTree(work) }
        for file in files {
            let path = "\(work)/\(root)/\(file.name)"
            try Files.makeDirectories(Files.directory(of: path), permissions: 0o700)
            try Files.replace(path, with: file.bytes, permissions: 0o600, durable: false)
        }
        try Tarball.pack([root], of: work, as: "\(work)/archive")
        try Files.rename("\(work)/archive", to: target)
        return try Files.status(target)?.size ?? 0
    }
}
