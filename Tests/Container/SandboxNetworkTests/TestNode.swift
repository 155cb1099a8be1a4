// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Logging
import Netlink
import Testing

@testable import SandboxNetwork

/// A machine in a network namespace, with another one outside that it is connected to: 192.0.2.1 and 192.0.2.2, fd00:99::1 and
/// fd00:99::2.
struct TestNode {
    let runDirectory: String
    let outside: String
    let network: SandboxNetwork
    let subnet: String
    let subnetV6: String?

    /// Runs `body` on a new machine, which ends with it.
    ///
    /// - Parameters:
    ///   - subnetV6: the second subnet of a dual stack node, a part of fd42::/48.
    ///   - filtersBridge: whether br_netfilter passes bridged frames through the rules, where the kernel has it.
    static func run(
        subnet: String = "10.1.7.0/24", subnetV6: String? = nil, filtersBridge: Bool = true,
        _ body: (TestNode) throws -> Void
    ) throws {
        let directory = "/tmp/sandbox-network-\(UInt64.random(in: 0...UInt64.max))"
        defer { try? DirectoryHandle(path: "/tmp").removeTree(String(directory.dropFirst(5))) }
        try NetworkNamespace.runInNew(mounts: true) {
            let outside = directory + "/outside"
            _ = try DirectoryHandle.create(path: outside)
            let world = PinnedNamespaces(directory: outside)
            let far = RouteSession(try world.create(hostname: "outside", parameters: []))
            try far.change(link: 1, LinkSettings(isUp: true))
            let near = try RouteSession()
            try near.change(link: 1, LinkSettings(isUp: true))
            do {
                for kind in ["ip", "ip6"] {
                    try SystemControl.write("net.bridge.bridge-nf-call-\(kind)tables", filtersBridge ? "1" : "0")
                }
            } catch let error as SystemError where error.isMissing {
                // Without br_netfilter there is only one way.
            }
            let namespace = try FileDescriptor.open(reading: world.networkPath)
            try near.createVirtualEthernet(
                LinkSettings(mtu: 1400, isUp: true, name: "uplink"),
                peer: LinkSettings(mtu: 1400, name: "wire", namespaceDescriptor: namespace.rawValue))
            try address("192.0.2.1/24", "uplink", near)
            try address("192.0.2.2/24", "wire", far)
            try address("fd00:99::1/64", "uplink", near)
            try address("fd00:99::2/64", "wire", far)
            let link = try #require(try near.link(named: "uplink"))
            try near.setRoute(
                Route(
                    to: try #require(IPNetwork("0.0.0.0/0")), via: IPAddress(v4: 192, 0, 2, 2), link: link.index))
            let node = TestNode(
                runDirectory: directory + "/run", outside: world.networkPath,
                network: try network(directory + "/run", subnet, subnetV6), subnet: subnet, subnetV6: subnetV6)
            try node.network.prepareNode()
            try body(node)
        }
    }

    static func network(
        _ runDirectory: String, _ subnet: String, _ subnetV6: String? = nil
    ) throws -> SandboxNetwork {
        try SandboxNetwork(
            SandboxNetworkConfiguration(
                bridgeName: "swbr0", subnet: try #require(IPNetwork(subnet)),
                clusterNetwork: try #require(IPNetwork("10.1.0.0/16")),
                subnetV6: try subnetV6.map { try #require(IPNetwork($0)) },
                clusterNetworkV6: subnetV6 == nil ? nil : IPNetwork("fd42::/48"), runDirectory: runDirectory),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    }

    private static func address(_ text: String, _ name: String, _ session: RouteSession) throws {
        let link = try #require(try session.link(named: name))
        try session.change(link: link.index, LinkSettings(isUp: true))
        try session.setAddress(try #require(IPNetwork(text)), link: link.index)
    }

    /// The node's network after a restart of the program.
    func restarted() throws -> SandboxNetwork { try Self.network(runDirectory, subnet, subnetV6) }

    /// Runs a shell command on the node, or in the namespace at `path`, and returns what it printed.
    @discardableResult
    func shell(_ command: String, in path: String? = nil) throws -> String { try Self.shell(command, in: path) }

    /// Runs a shell command in the caller's namespaces, or in the network namespace at `path`; what it printed.
    @discardableResult
    static func shell(_ command: String, in path: String? = nil) throws -> String {
        let prefix = path.map { "nsenter --net=\($0) " } ?? ""
        let stream = try #require(popen("\(prefix)sh -c '\(command)' 2>&1", "r"))
        defer { pclose(stream) }
        var output: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = fread(&buffer, 1, buffer.count, stream)
            if count == 0 { return String(decoding: output, as: UTF8.self) }
            output += buffer[..<count]
        }
    }

    /// Serves one file with `text` on a port in the namespace at `path`, until `body` is done.
    func serving(_ text: String, port: Int, in path: String?, _ body: () throws -> Void) throws {
        try Self.serving(text, port: port, in: path, root: runDirectory, body)
    }

    /// Serves one file from a directory whose path begins with `root`.
    static func serving(_ text: String, port: Int, in path: String?, root: String, _ body: () throws -> Void) throws {
        let root = root + "-www\(port)-\(UInt32.random(in: 0...UInt32.max))"
        _ = try DirectoryHandle.create(path: root)
        try DirectoryHandle(path: root).replaceFile("index.html", with: Array(text.utf8))
        let prefix = path.map { "nsenter --net=\($0) " } ?? ""
        let pid =
            try shell(
                "\(prefix)busybox httpd -f -p \(port) -h \(root) >/dev/null 2>&1 & echo $!"
            ).split(separator: "\n").first.map(String.init) ?? ""
        defer { _ = try? shell("kill \(pid)") }
        // The server needs a moment to listen.
        for _ in 0..<100 {
            if try shell("ss -Hltn \"sport = :\(port)\"", in: path).contains(":\(port)") { break }
            usleep(10_000)
        }
        try body()
    }

    /// What a web server says; an empty string where there is no answer within two seconds.
    func get(_ url: String, from path: String? = nil) throws -> String {
        try shell("timeout 2 busybox wget -q -O - http://\(url)/", in: path)
    }
}
