// SPDX-License-Identifier: Apache-2.0

extension Board {
    /// A feature that may be built in or be a module.
    private struct Feature {
        let name: String
        /// The module's name, with underscores.
        let module: String
        /// The option in the kernel's configuration.
        let option: String
        let isRequired: Bool
        let purpose: String
    }

    private static let features = [
        Feature(
            name: "overlay file systems", module: "overlay", option: "CONFIG_OVERLAY_FS", isRequired: true,
            purpose: "Containers' file systems are overlays."),
        Feature(
            name: "virtual Ethernet pairs", module: "veth", option: "CONFIG_VETH", isRequired: true,
            purpose: "They connect containers with the network."),
        Feature(
            name: "bridges", module: "bridge", option: "CONFIG_BRIDGE", isRequired: true,
            purpose: "Containers of one machine meet on a bridge."),
        Feature(
            name: "nftables", module: "nf_tables", option: "CONFIG_NF_TABLES", isRequired: true,
            purpose: "Ports and address translation are nftables rules."),
        Feature(
            name: "VXLAN", module: "vxlan", option: "CONFIG_VXLAN", isRequired: false,
            purpose: "Machines in different subnets reach each other's containers through it."),
    ]

    private static let namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "uts"]

    /// What the kernel was built with.
    func kernelFeatureFindings() -> [Finding] {
        var findings: [Finding] = []
        var unknown: [String] = []
        let sources = FeatureSources(board: self)
        for feature in Self.features {
            switch sources.has(module: feature.module, option: feature.option) {
            case true?: continue
            case nil: unknown.append(feature.name)
            case false?:
                findings.append(
                    Finding(
                        feature.isRequired ? "KernelFeatureMissing" : "KernelFeatureAbsent", .kernel,
                        feature.isRequired ? .error : .info, "The kernel has no \(feature.name) (\(feature.option))",
                        why: feature.purpose,
                        remedy: "Install the distribution's kernel with all its modules (apt install --reinstall "
                            + "linux-modules-extra-$(uname -r) on Ubuntu), or one built with \(feature.option)"))
            }
        }
        if !unknown.isEmpty {
            findings.append(
                Finding(
                    "KernelFeaturesUnknown", .kernel, .info,
                    "Nothing tells whether the kernel has \(unknown.joined(separator: ", "))",
                    why: "There is neither a list of modules in /lib/modules nor a configuration in /boot."))
        }
        return findings + namespaceFindings() + seccompFindings()
    }

    private func namespaceFindings() -> [Finding] {
        guard exists("/proc/self/ns") else { return [] }
        let missing = Self.namespaces.filter { !exists("/proc/self/ns/\($0)") }
        guard !missing.isEmpty else { return [] }
        return [
            Finding(
                "NamespacesMissing", .kernel, .error,
                "The kernel has no namespaces of the kind \(missing.joined(separator: ", "))",
                why: "Containers are separated by them.", remedy: "Use the distribution's kernel")
        ]
    }

    private func seccompFindings() -> [Finding] {
        guard let status = text("/proc/self/status") else { return [] }
        guard !status.contains("Seccomp:") else { return [] }
        return [
            Finding(
                "SeccompMissing", .kernel, .warning, "The kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)",
                why: "System calls of containers could not be restricted.", remedy: "Use the distribution's kernel")
        ]
    }
}

/// Where the kernel says what it has.
private struct FeatureSources {
    let board: Board
    private let fileSystems: String
    private let directory: String
    private let builtIn: String?
    private let configuration: String?

    init(board: Board) {
        self.board = board
        fileSystems = board.text("/proc/filesystems") ?? ""
        let release = board.kernelRelease
        directory = ["/lib/modules/", "/usr/lib/modules/"].map { $0 + release }.first(where: board.exists) ?? ""
        builtIn = directory.isEmpty ? nil : board.text("\(directory)/modules.builtin")
        configuration = board.text("/boot/config-\(release)")
    }

    /// Whether a feature is there, loaded or loadable; nil where nothing tells.
    func has(module: String, option: String) -> Bool? {
        let name = module == "overlay" ? "\toverlay" : nil
        if let name, fileSystems.contains(name) { return true }
        if board.exists("/sys/module/\(module)") { return true }
        if let builtIn, Self.lists(builtIn, module) { return true }
        if let configuration {
            return configuration.contains("\n\(option)=y") || configuration.contains("\n\(option)=m")
        }
        guard let builtIn, !builtIn.isEmpty, let modules = board.text("\(directory)/modules.dep") else { return nil }
        return Self.lists(modules, module)
    }

    /// Whether a list of modules has one: `kernel/drivers/net/veth.ko.xz: ...`.
    private static func lists(_ text: String, _ module: String) -> Bool {
        text.contains("/\(module).ko") || text.contains("/\(String(module.map { $0 == "_" ? "-" : $0 })).ko")
    }
}
