// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
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
            "reservedCPU",
            "staticPodDirectory", "shutdownGracePeriod", "shutdownGracePeriodCriticalPods",
            "clusterCIDR", "nodeCIDR", "serviceCIDR", "serviceNodePortRange", "clusterDomain", "bridge", "table",
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
                network: {bridge: br9, nodeCIDR: 10.9.3.0/24}
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
        ("network: {serviceCIDR: 10.0.0.0}", "network.serviceCIDR"), ("log: {level: loud}", "log.level"),
        ("certificates: {lifetimeMinutes: 0}", "certificates.lifetimeMinutes"), ("nodeName: Bad_Name", "nodeName"),
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

    @Test func saysWhereYAMLIsBroken() {
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "a: [") }
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "- a") }
        #expect(throws: ConfigurationError.self) { try Configuration(yaml: "nodeName: a\nnodeName: b") }
    }
}
