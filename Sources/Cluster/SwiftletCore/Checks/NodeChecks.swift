// SPDX-License-Identifier: Apache-2.0

package import HostChecks
import Kubelet
import LinuxSystem
import Logging
import Netlink

/// Why the agent does not start on this machine.
package struct UnfitHostError: Error, Sendable, CustomStringConvertible {
    /// What is wrong.
    package let findings: [Finding]

    package var description: String {
        findings.map { "\($0.summary). \($0.why) Remedy: \($0.remedy)" }.joined(separator: "; ")
    }
}

/// The examination of this machine with what the configuration wants of it.
package enum NodeChecks: Sendable {
    /// Examines the machine; takes milliseconds.
    ///
    /// - Parameters:
    ///   - root: put before the paths of files; empty for the machine itself.
    ///   - includesPorts: whether the ports must be free: not while the agent holds them.
    ///   - dropsForwarded: whether a packet filter drops what is forwarded; nil if nobody looked.
    package static func examine(
        _ configuration: Configuration, root: String = "", includesPorts: Bool = false, dropsForwarded: Bool? = nil
    ) -> [Finding] {
        let (addresses, hasDefaultRoute) = network(configuration)
        let field = "network.clusterCIDR"
        let needs = Board.Needs(
            stateDirectory: configuration.directories.state, ports: includesPorts ? ports(configuration) : [],
            // A range that cannot be read is the configuration's problem, and stops the agent there.
            fieldOfIPv6: (try? configuration.clusterRanges)?.v6 == nil ? nil : field)
        let board = Board.machine(
            root: root, needs: needs, addresses: addresses, hasDefaultRoute: hasDefaultRoute,
            dropsForwarded: dropsForwarded)
        return board.examine().filter { finding in
            // A name that the configuration gives stands in for the host's.
            configuration.nodeName.isEmpty || !finding.id.hasPrefix("HostName")
        }
    }

    /// A look at the running machine, whose ports the agent holds.
    static func examine(_ configuration: Configuration, _ look: HostLook) -> [Finding] {
        switch look {
        case .everything: examine(configuration)
        case .power: powerBoard.examinePower()
        }
    }

    /// Whether the machine tells about its power supply.
    static var tellsPower: Bool { powerBoard.tellsPower }

    /// Power and temperature need nothing of what else is known of the machine.
    private static var powerBoard: Board { Board(probes: .init(now: 0), needs: .init(stateDirectory: "/")) }

    /// Examines the machine and logs what is wrong, once for each start of the agent.
    ///
    /// - Throws: ``UnfitHostError`` where containers cannot work.
    static func requireFitHost(_ configuration: Configuration, _ logger: Logger) throws(UnfitHostError) -> [Finding] {
        let findings = examine(configuration)
        log(findings.filter { $0.severity == .warning }, logger)
        let errors = findings.filter { $0.severity == .error }
        if !errors.isEmpty { throw UnfitHostError(findings: errors) }
        return findings
    }

    static func log(_ problems: [Finding], _ logger: Logger) {
        for finding in problems {
            logger.log(
                level: finding.severity == .error ? .error : .warning, "\(finding.summary)",
                metadata: ["finding": "\(finding.id)", "remedy": "\(finding.remedy)"])
        }
    }

    /// Problems as the Node object tells of them.
    static func hostProblems(_ problems: [Finding]) -> [KubeletConfiguration.HostProblem] {
        problems.map {
            KubeletConfiguration.HostProblem(reason: $0.id, message: "\($0.summary). Remedy: \($0.remedy)")
        }
    }

    private static func ports(_ configuration: Configuration) -> [Board.Port] {
        [
            Board.Port(configuration.api.port, purpose: "the Kubernetes API", field: "api.port"),
            Board.Port(configuration.kubelet.port, purpose: "the kubelet's server", field: "kubelet.port"),
        ]
    }

    private static func network(_ configuration: Configuration) -> ([IPAddress], Bool) {
        do {
            let session = try RouteSession()
            let links = try session.links().filter {
                $0.isUp && !$0.isLoopback && $0.name != configuration.network.bridge
            }
            let indices = Set(links.map(\.index))
            let addresses = try session.addresses().filter { indices.contains($0.link) }.map(\.network.address)
            let hasDefault = try session.routes().contains { $0.destination.prefixLength == 0 }
            return (addresses.filter { !$0.isLinkLocal }, hasDefault)
        } catch {
            // Without netlink nothing works, and the network's own start says so with the reason.
            return ([], false)
        }
    }
}
