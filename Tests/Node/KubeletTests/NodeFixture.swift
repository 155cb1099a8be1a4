// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import JSON
import KubeAPI
import KubeClient
import LinuxSystem
import Logging
import NIOPosix
import PodRuntime
import SandboxNetwork
import Synchronization
import Testing

@testable import Kubelet

/// A whole node with real containers on an API in memory; needs root, cgroups and Debian's busybox-static.
struct NodeFixture: Sendable {
    static let isPossible = Processes.effectiveUserID == 0 && Files.exists("/bin/busybox")

    let directory: String
    let cluster: MemoryCluster
    let images: ImageService
    let network: SandboxNetwork
    let logger: Logger
    let tag: String

    init(_ tag: String, subnet: UInt8) async throws {
        self.tag = tag
        directory = "/tmp/kubelet-node-\(tag)-\(Processes.current)"
        try Files.makeDirectories("\(directory)/run")
        cluster = MemoryCluster()
        var logger = Logger(label: tag)
        logger.logLevel = .notice
        self.logger = logger
        images = try await ImageService(
            configuration: ImageServiceConfiguration(directory: "\(directory)/images"), logger: logger)
        let address = try #require(IPAddress("10.99.\(subnet).0"))
        let subnet = try #require(IPNetwork(address, prefixLength: 24))
        network = try SandboxNetwork(
            SandboxNetworkConfiguration(
                bridgeName: "kbt-\(tag)", subnet: subnet, clusterNetwork: subnet, tableName: "kubelet-test-\(tag)",
                runDirectory: "\(directory)/run/network", linkPrefix: "k\(tag.prefix(3))"), logger: logger)
        try network.prepareNode()
    }

    /// Imports an image that is busybox and nothing else.
    func importImage() async throws {
        let tree = "\(directory)/tree"
        try Files.makeDirectories("\(tree)/bin")
        try Files.makeDirectories("\(tree)/tmp")
        let archive = "\(directory)/image.tar"
        try run([
            "/usr/bin/env", "python3", "scripts/make-demo-image", "--name", "demo:1", "--output", archive, "--cmd",
            "sleep",
            "--cmd", "1000",
        ])
        _ = try await images.importArchive(.file(archive))
    }

    private func run(_ arguments: [String]) throws {
        var spawner = ProcessSpawner(
            path: arguments[0], arguments: arguments, environment: ["PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/tmp"])
        spawner.descriptors = [(0, 0), (1, 1), (2, 2)]
        let child = try spawner.start()
        #expect(try Processes.wait(for: child.process) == .exited(0))
    }

    func makeRuntime() throws -> PodRuntime {
        let build = ".build/debug"
        let root = Processes.currentDirectory() ?? ""
        return try PodRuntime(
            configuration: RuntimeConfiguration(
                launcher: "\(root)/\(build)/swiftlet-launcher",
                runDirectory: "\(directory)/run", stateDirectory: directory, podLogDirectory: "\(directory)/logs/pods",
                containerLogDirectory: "\(directory)/logs/containers", cgroupRoot: "/kubelet-test-\(tag)"),
            images: images, network: network, logger: logger)
    }

    /// Runs a kubelet while `body` runs.
    func withKubelet(_ runtime: PodRuntime, _ body: @Sendable @escaping () async throws -> Void) async throws {
        try await withKubelet(runtime) { _ in try await body() }
    }

    /// Runs a kubelet while `body` works with it.
    func withKubelet(
        _ runtime: PodRuntime, _ body: @Sendable @escaping (Kubelet) async throws -> Void
    ) async throws {
        let configuration = KubeletConfiguration(
            nodeName: "n1", hostname: "n1", addresses: ["192.0.2.1"], stateDirectory: directory,
            runDirectory: "\(directory)/run", version: "v1.36.0", runtimeVersion: "0.1.0")
        let kubelet = Kubelet(
            configuration: configuration, client: cluster, runtime: runtime, images: images,
            eventLoops: MultiThreadedEventLoopGroup.singleton, tls: nil, logger: logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await kubelet.run() } catch is CancellationError {}
            }
            group.addTask { try await body(kubelet) }
            // The body ends first, or a failure of the kubelet does.
            try await group.next()
            group.cancelAll()
            while true {
                do { guard try await group.next() != nil else { break } } catch is CancellationError { continue }
            }
        }
    }

    func createPod(_ name: String, _ container: JSON, spec extra: JSON = [:]) async throws {
        var container = container
        container["name"] = container["name"] ?? "c"
        container["image"] = "demo:1"
        container["imagePullPolicy"] = "IfNotPresent"
        var spec = extra
        spec["nodeName"] = "n1"
        spec["containers"] = [container]
        var pod = KubeObject(.init("", "v1", "Pod"), namespace: "default", name: name)
        pod.spec = spec
        _ = try await cluster.create(.pods, object: pod)
    }

    static func isReady(_ object: KubeObject?) -> Bool {
        (object?.status["conditions"]?.elements ?? []).contains {
            $0["type"]?.string == "Ready" && $0["status"]?.string == "True"
        }
    }

    func key(_ name: String) -> ObjectKey { ObjectKey(namespace: "default", name: name) }

    /// Removes everything; what is left of a failed test as well.
    func tearDown(_ runtime: PodRuntime) async throws {
        for uid in runtime.podUIDs() {
            let identity =
                runtime.records(of: uid).first?.pod ?? PodIdentity(uid: uid, name: "", namespace: "")
            try await runtime.removeSandbox(identity)
            await runtime.removePod(identity)
        }
        try network.removeAll()
        for mount in try MountInfo.current().map(\.mountPoint).reversed() where mount.hasPrefix("\(directory)/") {
            try Mounting.unmount(mount, detach: true)
        }
        try runtime.cgroups.remove("/kubelet-test-\(tag)")
        try Files.removeTree(directory)
    }

    /// Runs commands with input, and with a terminal, as exec does.
    func checkStreams(_ runtime: PodRuntime, _ id: String) async throws {
        let cat = ScriptedClient([.stdin(Array("ping".utf8)), .stdinClosed])
        let code = try await runtime.exec(
            id, command: ["cat"], options: .init(stdin: true, stdout: true, stderr: true), client: cat)
        #expect(code == 0)
        #expect(cat.output == "ping")
        let terminal = ScriptedClient([.resize(width: 100, height: 40), .stdin(Array("stty size; exit 5\n".utf8))])
        let shell = try await runtime.exec(
            id, command: ["sh"], options: .init(stdin: true, stdout: true, tty: true), client: terminal)
        #expect(shell == 5)
        #expect(terminal.output.contains("40 100"))
    }
}

/// A client that sends what it is told and then stays silent.
final class ScriptedClient: ProcessClient {
    private let inputs: Mutex<[ProcessInput]>
    private let received = Mutex("")

    init(_ inputs: [ProcessInput]) { self.inputs = Mutex(inputs) }

    var output: String { received.withLock { $0 } }

    func receive() async throws -> ProcessInput? {
        if let next = inputs.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return next }
        try await Task.sleep(for: .seconds(1000))
        return nil
    }

    func send(_ bytes: [UInt8], isError: Bool) async throws {
        received.withLock { $0 += String(decoding: bytes, as: UTF8.self) }
    }
}
