// SPDX-License-Identifier: Apache-2.0

import JSON

/// The checks of the level `baseline`: no known ways out of a container.
extension PodSecuritySubject {
    private static let ordinaryCapabilities: Set<String> = [
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    ]
    private static let appArmorPrefix = "container.apparmor.security.beta.kubernetes.io/"
    private static let seccompPod = "seccomp.security.alpha.kubernetes.io/pod"
    private static let seccompPrefix = "container.seccomp.security.alpha.kubernetes.io/"
    /// Kernel parameters that only concern the pod, with the version that allows them.
    private static let harmlessParameters: [String: Int] = [
        "kernel.shm_rmid_forced": 0, "net.ipv4.ip_local_port_range": 0, "net.ipv4.tcp_syncookies": 0,
        "net.ipv4.ping_group_range": 0, "net.ipv4.ip_unprivileged_port_start": 0,
        "net.ipv4.ip_local_reserved_ports": 27, "net.ipv4.tcp_keepalive_time": 29, "net.ipv4.tcp_fin_timeout": 29,
        "net.ipv4.tcp_keepalive_intvl": 29, "net.ipv4.tcp_keepalive_probes": 29, "net.ipv4.tcp_rmem": 32,
        "net.ipv4.tcp_wmem": 32,
    ]

    func appArmor() -> PodSecurityViolation? {
        let found = badValues { context in
            let type = context["appArmorProfile"]?["type"]?.string
            return type == "RuntimeDefault" || type == "Localhost" ? nil : type
        }
        let bad = annotations.filter { name, value in
            name.hasPrefix(Self.appArmorPrefix) && !value.isEmpty && value != "runtime/default"
                && !value.hasPrefix("localhost/")
        }
        guard found != nil || !bad.isEmpty else { return nil }
        let setters = [found?.setters, bad.isEmpty ? nil : Self.plural("annotation", bad.count)].compactMap { $0 }
        let values = (found?.values ?? []) + bad.map { "\($0.name)=\"\($0.value)\"" }.sorted()
        return .init(
            reason: Self.plural("forbidden AppArmor profile", values.count),
            detail: "\(setters.joined(separator: " and ")) must not set AppArmor profile type to \(Self.quoted(values))"
        )
    }

    func addedCapabilities() -> PodSecurityViolation? {
        forbiddenCapabilities { Self.ordinaryCapabilities.contains($0) }.map {
            .init(reason: "non-default capabilities", detail: $0)
        }
    }

    /// Who adds capabilities that may not be added.
    func forbiddenCapabilities(_ mayBeAdded: (String) -> Bool) -> String? {
        func added(_ container: JSON) -> [String] {
            let added = Self.context(container)?["capabilities"]?.list("add") ?? []
            return added.compactMap(\.string).filter { !mayBeAdded($0) }
        }
        let names = names { !added($0).isEmpty }
        guard !names.isEmpty else { return nil }
        let values = Set(containers.flatMap(added)).sorted()
        return "\(Self.listed("container", names)) must not include \(Self.quoted(values)) in "
            + "securityContext.capabilities.add"
    }

    func hostNamespaces() -> PodSecurityViolation? {
        let shared = ["hostNetwork", "hostPID", "hostIPC"].filter { spec[$0]?.bool == true }
        guard !shared.isEmpty else { return nil }
        return .init(reason: "host namespaces", detail: shared.map { "\($0)=true" }.joined(separator: ", "))
    }

    func hostPaths() -> PodSecurityViolation? {
        let names = spec.list("volumes").filter { $0.value("hostPath") != nil }.map { $0.text("name") }
        return names.isEmpty ? nil : .init(reason: "hostPath volumes", detail: Self.listed("volume", names))
    }

    func hostPorts() -> PodSecurityViolation? {
        func ports(_ container: JSON) -> [Int] {
            container.list("ports").compactMap { $0["hostPort"]?.int }.filter { $0 != 0 }
        }
        let names = names { !ports($0).isEmpty }
        guard !names.isEmpty else { return nil }
        let values = Set(containers.flatMap(ports)).map(String.init).sorted()
        return .init(
            reason: "hostPort",
            detail: "\(Self.listed("container", names)) \(names.count == 1 ? "uses" : "use") "
                + "\(Self.plural("hostPort", values.count)) \(values.joined(separator: ", "))")
    }

    /// Probes and hooks that have the kubelet ask somebody else than the pod.
    func handlerHosts() -> PodSecurityViolation? {
        guard standard.includes(34) else { return nil }
        func hosts(_ container: JSON) -> [String] {
            let handlers =
                ["livenessProbe", "readinessProbe", "startupProbe"].map { container[$0] }
                + ["postStart", "preStop"].map { container["lifecycle"]?[$0] }
            return handlers.flatMap { handler in
                ["httpGet", "tcpSocket"].compactMap { handler?[$0]?["host"]?.string }.filter { !$0.isEmpty }
            }
        }
        let names = Set(names { !hosts($0).isEmpty }).sorted()
        guard !names.isEmpty else { return nil }
        let values = Set(containers.flatMap(hosts)).sorted()
        return .init(
            reason: "probe or lifecycle host",
            detail: "\(Self.listed("container", names)) \(names.count == 1 ? "uses" : "use") "
                + "\(Self.plural("probe or lifecycle host", values.count)) \(Self.quoted(values))")
    }

    func privileged() -> PodSecurityViolation? {
        let names = names { Self.context($0)?["privileged"]?.bool == true }
        guard !names.isEmpty else { return nil }
        return .init(
            reason: "privileged",
            detail: "\(Self.listed("container", names)) must not set securityContext.privileged=true")
    }

    func procMount() -> PodSecurityViolation? {
        if standard.level == .baseline, hasOwnUsers { return nil }
        func type(_ container: JSON) -> String? {
            let type = Self.context(container)?["procMount"]?.string
            return type == "Default" ? nil : type
        }
        let names = names { type($0) != nil }
        guard !names.isEmpty else { return nil }
        let values = Set(containers.compactMap(type)).sorted()
        return .init(
            reason: "procMount",
            detail: "\(Self.listed("container", names)) must not set securityContext.procMount to "
                + Self.quoted(values))
    }

    func seLinux() -> PodSecurityViolation? {
        var allowed: Set<String> = ["", "container_t", "container_init_t", "container_kvm_t"]
        if standard.includes(31) { allowed.insert("container_engine_t") }
        func options(_ context: JSON?) -> JSON? {
            guard let options = context?.value("seLinuxOptions") else { return nil }
            let isGood =
                allowed.contains(options.text("type")) && options.text("user").isEmpty
                && options.text("role").isEmpty
            return isGood ? nil : options
        }
        let names = names { options(Self.context($0)) != nil }
        let ofPod = options(podContext)
        guard let setters = Self.setters(pod: ofPod != nil, names) else { return nil }
        let bad = [ofPod].compactMap { $0 } + containers.compactMap { options(Self.context($0)) }
        let types = Set(bad.map { $0.text("type") }).subtracting(allowed).sorted()
        var faults = types.isEmpty ? [] : [Self.listed("type", types)]
        if bad.contains(where: { !$0.text("user").isEmpty }) { faults.append("user may not be set") }
        if bad.contains(where: { !$0.text("role").isEmpty }) { faults.append("role may not be set") }
        return .init(
            reason: "seLinuxOptions",
            detail: "\(setters) set forbidden securityContext.seLinuxOptions: \(faults.joined(separator: "; "))")
    }

    func seccomp() -> PodSecurityViolation? {
        guard standard.includes(19) else { return seccompAnnotations() }
        return badSeccomp()
    }

    /// Who sets a seccomp profile that may not be.
    func badSeccomp() -> PodSecurityViolation? {
        let found = badValues { context in
            context.value("seccompProfile").flatMap { profile in
                Self.isGoodSeccomp(profile) ? nil : profile.text("type")
            }
        }
        return found.map { setters, values in
            .init(
                reason: "seccompProfile",
                detail: "\(setters) must not set securityContext.seccompProfile.type to "
                    + Self.quoted(values))
        }
    }

    static func isGoodSeccomp(_ profile: JSON) -> Bool {
        ["RuntimeDefault", "Localhost"].contains(profile.text("type"))
    }

    private func seccompAnnotations() -> PodSecurityViolation? {
        let names = Set([Self.seccompPod] + containers.map { Self.seccompPrefix + $0.text("name") })
        let bad = annotations.filter { name, value in
            names.contains(name) && value != "runtime/default" && value != "docker/default"
                && !value.hasPrefix("localhost/")
        }
        guard !bad.isEmpty else { return nil }
        let list = bad.map { "\($0.name)=\"\($0.value)\"" }.sorted().joined(separator: ", ")
        return .init(reason: "seccompProfile", detail: "forbidden \(Self.plural("annotation", bad.count)) \(list)")
    }

    func sysctls() -> PodSecurityViolation? {
        let names = (podContext?.list("sysctls") ?? []).map { $0.text("name") }.filter { name in
            Self.harmlessParameters[name].map { !standard.includes($0) } ?? true
        }
        return names.isEmpty ? nil : .init(reason: "forbidden sysctls", detail: names.joined(separator: ", "))
    }

    func windowsHostProcess() -> PodSecurityViolation? {
        func isHostProcess(_ context: JSON?) -> Bool { context?["windowsOptions"]?["hostProcess"]?.bool == true }
        let names = names { isHostProcess(Self.context($0)) }
        return Self.setters(pod: isHostProcess(podContext), names).map {
            .init(
                reason: "hostProcess",
                detail: "\($0) must not set securityContext.windowsOptions.hostProcess=true")
        }
    }
}
