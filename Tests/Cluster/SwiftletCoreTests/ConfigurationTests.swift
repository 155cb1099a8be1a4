// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import SandboxNetwork
import Testing

@testable import SwiftletCore

@Suite struct ConfigurationTests {
    @Test func anEmptyFileMeansTheDefaults() throws {
        #expect(try Configuration(yaml: "") == Configuration())
        #expect(try Configuration(yaml: "# nothing\n") == Configuration())
    }

    @Test func theDocumentedDefaultsAreTheDefaults() throws {
        #expect(try Configuration(yaml: Configuration.documentedDefaults) == Configuration())
    }

    /// Every field that the reader knows stands in the documented file: the same names, in the same sections.
    @Test func theDocumentedDefaultsAreComplete() throws {
        let fields = [
            "nodeName", "nodeAddresses", "state", "run", "logs", "configuration", "executables", "bindAddress",
            "certificateNames", "multicastDNS", "maxPods", "cgroupRoot", "cgroupDriver", "reservedMemory",
            "reservedCPU", "staticPodDirectory", "shutdownGracePeriod", "shutdownGracePeriodCriticalPods",
            "clusterCIDR", "nodeCIDR", "nodeCIDRMaskSizeIPv6", "serviceCIDR", "serviceNodePortRange", "clusterDomain",
            "bridge", "table",
            "lifetimeMinutes", "checkpointMinutes", "registries", "level", "containersToJournal",
            "journalLinesPerSecond",
        ]
        for field in fields {
            #expect(
                Configuration.documentedDefaults.contains(" \(field):")
                    || Configuration.documentedDefaults.contains("\n\(field):"), "\(field)")
        }
    }

    @Test func readsEverySection() throws {
        let configuration = try Configuration(
            yaml: """
                nodeName: pi-1
                nodeAddresses: [192.168.1.5, "fd00::5"]
                directories: {state: /data/swiftlet/}
                api: {port: 7443, certificateNames: [pi.local], multicastDNS: false}
                kubelet: {maxPods: 20, cgroupDriver: cgroupfs, shutdownGracePeriod: 1m30s, shutdownGracePeriodCriticalPods: 0}
                network: {bridge: br9, clusterCIDR: 10.9.0.0/16, nodeCIDR: 10.9.3.0/24}
                certificates: {lifetimeMinutes: 1440}
                storage: {checkpointMinutes: 5}
                images: {registries: {"reg:5000": {insecure: true, mirrors: ["http://10.0.0.5:5000"]}}}
                log: {level: debug}
                """)
        #expect(configuration.nodeName == "pi-1")
        #expect(configuration.nodeAddresses.map(\.description) == ["192.168.1.5", "fd00::5"])
        #expect(configuration.directories.state == "/data/swiftlet")
        #expect(configuration.api.port == 7443)
        #expect(!configuration.api.multicastDNS)
        #expect(configuration.kubelet.maxPods == 20)
        #expect(configuration.kubelet.cgroupDriver == .cgroupfs)
        #expect(configuration.kubelet.shutdownGracePeriod == .seconds(90))
        #expect(configuration.kubelet.shutdownGracePeriodCriticalPods == .zero)
        #expect(configuration.network.bridge == "br9")
        #expect(configuration.certificates.lifetimeMinutes == 1440)
        #expect(configuration.storage.checkpointMinutes == 5)
        #expect(configuration.images.registries["reg:5000"]?.insecure == true)
        #expect(configuration.log.level == "debug")
    }

    private static let refused: [(yaml: String, field: String)] = [
        ("nodename: x", "nodename"), ("api: {prot: 1}", "api.prot"), ("api: {port: high}", "api.port"),
        ("api: {port: 70000}", "api.port"), ("api: [1]", "api"),
        ("directories: {state: relative}", "directories.state"),
        ("nodeAddresses: [nowhere]", "nodeAddresses[0]"), ("network: {bridge: much-too-long-a-name}", "network.bridge"),
        ("network: {serviceCIDR: 10.0.0.0}", "network.serviceCIDR"),
        ("network: {nodeCIDRMaskSizeIPv6: 120}", "network.nodeCIDRMaskSizeIPv6"), ("log: {level: loud}", "log.level"),
        ("certificates: {lifetimeMinutes: 0}", "certificates.lifetimeMinutes"), ("nodeName: Bad_Name", "nodeName"),
        ("api: {bindAddress: eth0}", "api.bindAddress"),
        ("network: {serviceNodePortRange: \"5\"}", "network.serviceNodePortRange"),
        ("images: {registries: {r: {insecure: maybe}}}", "images.registries.r.insecure"),
        ("kubelet: {cgroupDriver: none}", "kubelet.cgroupDriver"),
        ("kubelet: {shutdownGracePeriod: 30}", "kubelet.shutdownGracePeriod"),
        ("kubelet: {shutdownGracePeriod: 30m1h}", "kubelet.shutdownGracePeriod"),
        ("kubelet: {shutdownGracePeriod: 99999999999999999999s}", "kubelet.shutdownGracePeriod"),
        ("kubelet: {shutdownGracePeriod: 2h}", "kubelet.shutdownGracePeriod"),
        ("kubelet: {shutdownGracePeriodCriticalPods: 31s}", "kubelet.shutdownGracePeriodCriticalPods"),
    ]

    @Test(arguments: refused)
    func refusesAndNamesTheField(yaml: String, field: String) {
        do {
            _ = try Configuration(yaml: yaml)
            Issue.record("must be refused: \(yaml)")
        } catch let error as ConfigurationError {
            #expect(error.field == field)
        } catch {
            Issue.record("\(error)")
        }
    }

    // MARK: Ranges of pods' addresses

    private static func network(_ text: String) throws -> Configuration {
        try Configuration(yaml: "network: {\(text)}")
    }

    @Test func aNodeHasTheFirstPartOfTheRangesUnlessItIsGivenAnother() throws {
        let single = Configuration()
        #expect(try "\(single.clusterRanges) \(single.nodeRanges)" == "10.1.0.0/16 10.1.0.0/24")
        #expect(try single.sandboxNetwork.subnetV6 == nil && single.nodeParts.count == 1)
        let dual = try Self.network("clusterCIDR: '10.42.0.0/16, fd42::/56'")
        #expect(try "\(dual.clusterRanges) \(dual.nodeRanges)" == "10.42.0.0/16,fd42::/56 10.42.0.0/24,fd42::/64")
        #expect(try dual.sandboxNetwork.clusterNetworkV6 == IPNetwork("fd42::/56"))
        let other = try Self.network(
            "clusterCIDR: '10.42.0.0/16,fd42::/96', nodeCIDRMaskSizeIPv6: 112, nodeCIDR: 10.42.9.0/24")
        #expect(try other.nodeRanges.description == "10.42.9.0/24,fd42::/112")
        let both = try Self.network("clusterCIDR: '10.42.0.0/16,fd42::/56', nodeCIDR: '10.42.9.0/24,fd42:0:0:9::/64'")
        #expect(try both.nodeRanges.description == "10.42.9.0/24,fd42:0:0:9::/64")
    }

    private static let refusedRanges: [(yaml: String, field: String, words: String)] = [
        ("clusterCIDR: ''", "clusterCIDR", "is not an address range"),
        ("clusterCIDR: 10.42.0.0", "clusterCIDR", "\"10.42.0.0\" is not an address range"),
        ("clusterCIDR: '10.42.0.0/16,'", "clusterCIDR", "is not an address range"),
        ("clusterCIDR: 'fd42::/56'", "clusterCIDR", "one IPv4 range, and for dual stack one IPv6 range after it"),
        ("clusterCIDR: 'fd42::/56,10.42.0.0/16'", "clusterCIDR", "after it"),
        ("clusterCIDR: '10.42.0.0/16,10.43.0.0/16'", "clusterCIDR", "after it"),
        ("clusterCIDR: '10.42.0.0/16,fd42::/56,fd43::/56'", "clusterCIDR", "after it"),
        ("clusterCIDR: 10.42.0.0/25", "clusterCIDR", "8 to 24 bits"),
        ("clusterCIDR: '10.42.0.0/16,fd42::/40'", "clusterCIDR", "fd42::/40 cannot be divided among nodes"),
        ("clusterCIDR: '10.42.0.0/16,fd42::/72'", "clusterCIDR", "48 to 64 bits"),
        ("clusterCIDR: '10.42.0.0/16,fe80::/64'", "clusterCIDR", "no address that pods can have"),
        ("nodeCIDR: 10.9.0.0/24", "nodeCIDR", "10.9.0.0/24 is no part of network.clusterCIDR, 10.1.0.0/16"),
        ("nodeCIDR: '10.1.0.0/24,fd42::/64'", "nodeCIDR", "fd42::/64 is no part of network.clusterCIDR"),
        ("nodeCIDR: 10.1.0.0/30", "nodeCIDR", "too small"),
        ("clusterCIDR: '10.1.0.0/16,fd42::/56', nodeCIDR: '10.1.0.0/24,fd42::/113'", "nodeCIDR", "at most 112 bits"),
    ]

    @Test(arguments: refusedRanges)
    func refusesRangesAndSaysWhy(yaml: String, field: String, words: String) {
        let error = #expect(throws: ConfigurationError.self) { try Self.network(yaml) }
        #expect(error?.field == "network.\(field)")
        #expect(error?.reason.contains(words) == true, "\(error?.reason ?? "")")
    }

    @Test func saysWhereYAMLIsBroken() {
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "a: [") }
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "- a") }
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "nodeName: a\nnodeName: b") }
    }
}
