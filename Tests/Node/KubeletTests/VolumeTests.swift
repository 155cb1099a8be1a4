// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import Testing

@testable import Kubelet

@Suite("Volumes and files of pods")
struct VolumeTests {
    private func scratch(_ name: String = #function) throws -> String {
        let path = "/tmp/kubelet-volume-\(Processes.current)-\(name.prefix { $0.isLetter })"
        try Files.removeTree(path)
        try Files.makeDirectories(path)
        return path
    }

    private func text(_ path: String) throws -> String { String(decoding: try Files.read(path), as: UTF8.self) }

    @Test("files change all at once by one link, and stale ones go")
    func atomicWrite() throws {
        let path = try scratch()
        defer { try? Files.removeTree(path) }
        let volume = AtomicDirectory(path: path)
        let one = VolumeFile(content: Array("1".utf8), mode: 0o640)
        let two = VolumeFile(content: Array("2".utf8), mode: 0o444)
        #expect(try volume.write(["a": one, "d/b": two], stamp: "s1"))
        #expect(try text("\(path)/a") == "1")
        #expect(try text("\(path)/d/b") == "2")
        #expect(try Files.status("\(path)/a")?.permissions == 0o640)
        let first = try Files.linkTarget("\(path)/..data")
        #expect(try !volume.write(["a": one, "d/b": two], stamp: "s2"))
        #expect(try Files.linkTarget("\(path)/..data") == first)
        #expect(try volume.write(["a": two, "c": one], stamp: "s3"))
        #expect(try text("\(path)/a") == "2")
        #expect(Set(try Files.names(in: path).filter { !$0.hasPrefix("..") }) == ["a", "c"])
        #expect(try Files.names(in: path).filter { $0.hasPrefix("..s") }.count == 1)
        #expect(try Files.linkTarget("\(path)/a") == "..data/a")
    }

    @Test("what a crash or a failure left of a change is put right")
    func atomicWriteAfterCrash() throws {
        let path = try scratch()
        defer { try? Files.removeTree(path) }
        let volume = AtomicDirectory(path: path)
        let file = VolumeFile(content: Array("1".utf8), mode: 0o644)
        try volume.write(["a": file, "b": file], stamp: "s1")
        // As if the agent had been killed between the data and the names, and once while it wrote files.
        try Files.remove("\(path)/b")
        try Files.makeDirectories("\(path)/..s0.dead")
        #expect(try !volume.write(["a": file, "b": file], stamp: "s2"))
        #expect(try text("\(path)/b") == "1")
        #expect(try Files.names(in: path).filter { $0.hasPrefix("..s") }.count == 1)
        // A directory cannot be written over a file.
        #expect(throws: (any Error).self) { try volume.write(["x": file, "x/y": file], stamp: "s3") }
        #expect(try Files.names(in: path).filter { $0.hasPrefix("..s") }.count == 1)
        #expect(try text("\(path)/a") == "1")
    }

    @Test("a group may read what it shares")
    func group() throws {
        let path = try scratch()
        defer { try? Files.removeTree(path) }
        try AtomicDirectory(path: path, group: 4711).write(
            ["a": VolumeFile(content: [], mode: 0o400)], stamp: "s")
        let status = try Files.status("\(path)/a")
        #expect(status?.group == 4711)
        #expect(status?.permissions == 0o440)
    }

    @Test("keys of a ConfigMap, all or those listed")
    func configMap() throws {
        let object = KubeObject(["metadata": ["name": "m"], "data": ["a": "1", "b": "2"], "binaryData": ["c": "AAE="]])
        var all = VolumePayload(defaultMode: 0o600)
        try all.add(configMap: object, source: ["name": "m"])
        #expect(all.files["c"] == VolumeFile(content: [0, 1], mode: 0o600))
        #expect(all.files.count == 3)
        var some = VolumePayload(defaultMode: nil)
        try some.add(configMap: object, source: ["items": [["key": "a", "path": "x/y", "mode": 256]]])
        #expect(some.files == ["x/y": VolumeFile(content: Array("1".utf8), mode: 0o400)])
    }

    @Test("what is missing fails unless it is optional")
    func missing() throws {
        var payload = VolumePayload(defaultMode: nil)
        #expect(throws: ConfigurationError("configmap \"m\" not found")) {
            try payload.add(configMap: nil, source: ["name": "m"])
        }
        #expect(throws: ConfigurationError("secret \"s\" not found")) {
            try payload.add(secret: nil, source: ["secretName": "s"])
        }
        try payload.add(secret: nil, source: ["secretName": "s", "optional": true])
        let object = KubeObject(["metadata": ["name": "m"], "data": [:]])
        #expect(throws: ConfigurationError.self) {
            try payload.add(configMap: object, source: ["items": [["key": "a", "path": "a"]]])
        }
        #expect(payload.files.isEmpty)
    }

    @Test("paths do not leave the volume", arguments: ["../x", "a/../b", "/abs", "..data", "", "a//b"])
    func hostilePaths(path: String) {
        var payload = VolumePayload(defaultMode: nil)
        let object = KubeObject(["metadata": ["name": "m"], "data": ["a": "1"]])
        #expect(throws: ConfigurationError.self) {
            try payload.add(configMap: object, source: ["items": [["key": "a", "path": .string(path)]]])
        }
    }

    @Test("labels as a file, sorted and quoted")
    func downwardAPI() throws {
        let pod = MachineDriver.pod(
            ["containers": []], metadata: ["labels": ["b": "2", "a": "x\"y"]])
        let fields = FieldReference(
            pod: pod, node: .init(hostAddresses: [], podAddresses: [], allocatable: [:]))
        var payload = VolumePayload(defaultMode: nil)
        try payload.add(
            downwardAPI: ["items": [["path": "labels", "fieldRef": ["fieldPath": "metadata.labels"]]]],
            fields: fields, pod: pod)
        #expect(payload.files["labels"]?.content == Array("a=\"x\\\"y\"\nb=\"2\"".utf8))
    }

    @Test("hostPath types are checked in upstream's words")
    func hostPath() throws {
        let path = try scratch()
        defer { try? Files.removeTree(path) }
        try HostPathVolume.prepare("\(path)/made", type: "DirectoryOrCreate")
        #expect(try Files.status("\(path)/made")?.kind == .directory)
        try HostPathVolume.prepare("\(path)/file", type: "FileOrCreate")
        #expect(try Files.status("\(path)/file")?.kind == .regular)
        let wrong = ConfigurationError("hostPath type check failed: \(path)/file is not a directory")
        #expect(throws: wrong) { try HostPathVolume.prepare("\(path)/file", type: "Directory") }
        #expect(throws: ConfigurationError.self) { try HostPathVolume.prepare("\(path)/none", type: "Socket") }
    }

    @Test("fsGroup reaches every file, and links are not followed")
    func ownership() throws {
        let path = try scratch()
        defer { try? Files.removeTree(path) }
        try Files.makeDirectories("\(path)/v/d")
        try Files.replace("\(path)/v/d/f", with: [1], permissions: 0o600, durable: false)
        try Files.replace("\(path)/secret", with: [1], permissions: 0o600, durable: false)
        try Files.makeLink("\(path)/v/link", to: "\(path)/secret")
        try VolumeOwnership.apply(4711, to: "\(path)/v", onRootMismatch: false)
        #expect(try Files.status("\(path)/v/d/f")?.group == 4711)
        #expect(try Files.status("\(path)/v/d/f")?.permissions == 0o660)
        #expect(try Files.status("\(path)/v/d")?.permissions == 0o2775)
        #expect(try Files.status("\(path)/secret")?.group == 0)
    }

    @Test("hosts files")
    func hosts() {
        let pod = MachineDriver.pod([
            "subdomain": "sub", "hostAliases": [["ip": "192.0.2.9", "hostnames": ["a", "b"]]],
        ])
        let text = PodFiles.hosts(of: pod, addresses: ["10.1.0.2"], domain: "cluster.local")
        #expect(text.hasPrefix("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"))
        #expect(text.contains("10.1.0.2\tp.sub.default.svc.cluster.local\tp\n"))
        #expect(text.hasSuffix("# Entries added by HostAliases.\n192.0.2.9\ta\tb\n"))
    }

    @Test("pods get the servers behind a resolver that listens on this machine alone")
    func stubResolver() {
        let configuration = KubeletConfiguration(
            nodeName: "n", hostname: "n", addresses: [], stateDirectory: "", runDirectory: "", version: "",
            runtimeVersion: "")
        func machine(_ usual: String, _ behind: String) -> ResolverConfiguration {
            ResolverConfiguration.ofMachine(configuration) { $0 == configuration.resolverPath ? usual : behind }
        }
        let real = "nameserver 192.0.2.53\n"
        #expect(machine("nameserver 127.0.0.53\n", real).servers == ["192.0.2.53"])
        #expect(machine("nameserver 127.0.0.53\nnameserver ::1\n", real).servers == ["192.0.2.53"])
        #expect(machine("nameserver 127.0.0.1\n", "").servers == ["127.0.0.1"])
        let mixed = machine("nameserver 127.0.0.1\nnameserver 192.0.2.1\n", real)
        #expect(mixed.servers == ["127.0.0.1", "192.0.2.1"])
        func servers(_ spec: JSON) -> [String] {
            ResolverConfiguration(
                pod: MachineDriver.pod(spec), host: mixed, clusterServers: [], clusterDomain: "cluster.local"
            ).servers
        }
        #expect(servers(["dnsPolicy": "Default"]) == ["192.0.2.1"])
        #expect(servers(["hostNetwork": true]) == ["127.0.0.1", "192.0.2.1"])
    }

    @Test("resolv.conf by policy")
    func resolver() {
        let host = ResolverConfiguration(parsing: "nameserver 192.0.2.53\nsearch example.org\noptions rotate\n")
        let make = { (spec: JSON) in
            ResolverConfiguration(
                pod: MachineDriver.pod(spec), host: host, clusterServers: ["10.152.0.10"],
                clusterDomain: "cluster.local"
            ).text
        }
        let cluster =
            "search default.svc.cluster.local svc.cluster.local cluster.local example.org\nnameserver 10.152.0.10\n"
        #expect(make([:]) == cluster + "options ndots:5\n")
        let own = "search example.org\nnameserver 192.0.2.53\noptions rotate\n"
        #expect(make(["dnsPolicy": "Default"]) == own)
        #expect(make(["hostNetwork": true]) == own)
        #expect(make(["hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet"]) == cluster + "options ndots:5\n")
        #expect(
            make([
                "dnsPolicy": "None",
                "dnsConfig": [
                    "nameservers": ["192.0.2.1"], "searches": ["x"], "options": [["name": "ndots", "value": "2"]],
                ],
            ]) == "search x\nnameserver 192.0.2.1\noptions ndots:2\n")
    }
}
