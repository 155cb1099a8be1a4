// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

struct PodSecurityTests {
    /// A pod that violates nothing, with changes; its containers are `a` and, as init container, `i`.
    private func pod(_ context: JSON = [:], spec: [(String, JSON)] = [], annotations: JSON = [:]) -> JSON {
        var container: JSON = [
            "name": "a",
            "securityContext": [
                "allowPrivilegeEscalation": false, "runAsNonRoot": true, "capabilities": ["drop": ["ALL"]],
                "seccompProfile": ["type": "RuntimeDefault"],
            ],
        ]
        var other = container
        other["name"] = "i"
        for (key, value) in context.object ?? [:] { container["securityContext", key] = value }
        var result: JSON = [
            "metadata": ["name": "x", "annotations": annotations],
            "spec": ["containers": [container], "initContainers": [other]],
        ]
        for (key, value) in spec { result["spec", key] = value }
        return result
    }

    private func found(_ pod: JSON, _ level: PodSecurityLevel, minor: Int? = nil) -> String {
        PodSecurityViolation.text(PodSecurityChecks.violations(of: pod, .init(level, minor: minor)))
    }

    @Test func aCarefulPodIsAllowedEverywhere() {
        for level in PodSecurityLevel.allCases { #expect(found(pod(), level) == "") }
    }

    @Test func anOrdinaryPodIsToldWhatRestrictedAsks() {
        let plain: JSON = ["spec": ["containers": [["name": "web", "image": "nginx"], ["name": "log"]]]]
        #expect(found(plain, .baseline) == "")
        // As kubectl shows it with upstream.
        #expect(
            found(plain, .restricted)
                == "allowPrivilegeEscalation != false (containers \"web\", \"log\" must set "
                + "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (containers \"web\", \"log\" "
                + "must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot != true (pod or containers \"web\", "
                + "\"log\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or containers \"web\", \"log\" "
                + "must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")")
    }

    @Test(
        arguments: [
            (["privileged": true], "privileged (container \"a\" must not set securityContext.privileged=true)"),
            (
                ["procMount": "Unmasked"],
                "procMount (container \"a\" must not set securityContext.procMount to \"Unmasked\")"
            ),
            (
                ["seccompProfile": ["type": "Unconfined"]],
                "seccompProfile (container \"a\" must not set securityContext.seccompProfile.type to \"Unconfined\")"
            ),
            (
                ["appArmorProfile": ["type": "Unconfined"]],
                "forbidden AppArmor profile (container \"a\" must not set AppArmor profile type to \"Unconfined\")"
            ),
            (
                ["seLinuxOptions": ["type": "spc_t", "user": "u"]],
                "seLinuxOptions (container \"a\" set forbidden securityContext.seLinuxOptions: type \"spc_t\"; "
                    + "user may not be set)"
            ),
            (
                ["windowsOptions": ["hostProcess": true]],
                "hostProcess (container \"a\" must not set securityContext.windowsOptions.hostProcess=true)"
            ),
        ] as [(JSON, String)])
    func whatNoContainerMayDo(_ context: JSON, _ expected: String) {
        #expect(found(pod(context), .baseline) == expected)
        #expect(found(pod(context), .restricted) == expected)
        #expect(found(pod(context), .privileged) == "")
    }

    @Test(
        arguments: [
            ("hostPID", true, "host namespaces (hostPID=true)"),
            ("volumes", [["name": "v", "hostPath": ["path": "/"]]], "hostPath volumes (volume \"v\")"),
            (
                "containers", [["name": "b", "ports": [["hostPort": 80], ["hostPort": 443], ["hostPort": 0]]]],
                "hostPort (container \"b\" uses hostPorts 443, 80)"
            ),
            (
                "containers", [["name": "b", "livenessProbe": ["httpGet": ["host": "10.0.0.1"]]]],
                "probe or lifecycle host (container \"b\" uses probe or lifecycle host \"10.0.0.1\")"
            ),
            (
                "ephemeralContainers",
                [["name": "d", "securityContext": ["capabilities": ["add": ["NET_ADMIN", "KILL"]]]]],
                "non-default capabilities (container \"d\" must not include \"NET_ADMIN\" in "
                    + "securityContext.capabilities.add)"
            ),
            (
                "securityContext", ["sysctls": [["name": "kernel.msgmax"], ["name": "net.ipv4.tcp_rmem"]]],
                "forbidden sysctls (kernel.msgmax)"
            ),
        ] as [(String, JSON, String)])
    func whatNoPodMayDo(_ field: String, _ value: JSON, _ expected: String) {
        #expect(found(pod(spec: [(field, value)]), .baseline) == expected)
    }

    @Test(
        arguments: [
            (
                ["allowPrivilegeEscalation": .null],
                "allowPrivilegeEscalation != false (container \"a\" must set securityContext.allowPrivilegeEscalation=false)"
            ),
            (["runAsUser": 0], "runAsUser=0 (container \"a\" must not set runAsUser=0)"),
            (
                ["runAsNonRoot": false],
                "runAsNonRoot != true (container \"a\" must not set securityContext.runAsNonRoot=false)"
            ),
            (
                ["capabilities": ["drop": ["ALL"], "add": ["NET_BIND_SERVICE", "CHOWN"]]],
                "unrestricted capabilities (container \"a\" must not include \"CHOWN\" in securityContext.capabilities.add)"
            ),
        ] as [(JSON, String)])
    func whatOnlyRestrictedForbids(_ context: JSON, _ expected: String) {
        #expect(found(pod(context), .restricted) == expected)
        #expect(found(pod(context), .baseline) == "")
    }

    @Test func volumesOfRestrictedPodsAreTheClusters() {
        let volumes: JSON = [
            ["name": "n", "nfs": [:]], ["name": "h", "hostPath": [:]], ["name": "c", "configMap": [:]],
            ["name": "u", "unheardOf": [:]],
        ]
        #expect(
            found(pod(spec: [("volumes", volumes)]), .restricted)
                == "restricted volume types (volumes \"n\", \"h\", \"u\" use restricted volume types \"hostPath\", \"nfs\", "
                + "\"unknown\")")
    }

    @Test func olderVersionsAskForLess() {
        let kept = pod(["capabilities": [:], "runAsUser": 0])
        #expect(found(kept, .restricted, minor: 21) == "")
        #expect(found(kept, .restricted, minor: 22).hasPrefix("unrestricted capabilities"))
        #expect(found(kept, .restricted, minor: 23).hasSuffix("runAsUser=0 (container \"a\" must not set runAsUser=0)"))
        let parameter = pod(spec: [("securityContext", ["sysctls": [["name": "net.ipv4.tcp_rmem"]]])])
        #expect(found(parameter, .baseline, minor: 31) == "forbidden sysctls (net.ipv4.tcp_rmem)")
        #expect(found(parameter, .baseline, minor: 32) == "")
        let annotated = pod(
            ["seccompProfile": .null], annotations: ["seccomp.security.alpha.kubernetes.io/pod": "unconfined"])
        #expect(
            found(annotated, .restricted, minor: 18)
                == "seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod=\"unconfined\")")
        #expect(found(pod(["allowPrivilegeEscalation": true]), .restricted, minor: 7) == "")
    }

    @Test func podsWithUsersOfTheirOwnMayBeRootInside() {
        let mapped = pod(
            ["runAsUser": 0, "runAsNonRoot": false, "procMount": "Unmasked"], spec: [("hostUsers", false)])
        #expect(found(mapped, .baseline) == "")
        #expect(found(mapped, .restricted).hasPrefix("procMount "))
        #expect(found(mapped, .baseline, minor: 34).hasPrefix("procMount "))
    }

    @Test func whatThePodSaysCountsForItsContainers() {
        let silent: JSON = ["runAsNonRoot": .null, "seccompProfile": .null]
        let spoken: JSON = ["runAsNonRoot": true, "seccompProfile": ["type": "Localhost"]]
        #expect(found(pod(silent, spec: [("securityContext", spoken)]), .restricted) == "")
    }

    // MARK: Labels

    @Test func labelsSayWhatIsAsked() {
        let policy = PodSecurityPolicy(labels: [
            "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.25",
            "pod-security.kubernetes.io/warn": "restricted", "other": "x",
        ])
        #expect(policy.enforce.description == "baseline:v1.25")
        #expect(policy.warn.description == "restricted:latest")
        #expect(policy.audit.description == "privileged:latest")
        #expect(policy.problems.isEmpty)
    }

    @Test func labelsThatMeanNothingCloseWhatIsEnforced() {
        let policy = PodSecurityPolicy(labels: [
            "pod-security.kubernetes.io/enforce": "strict", "pod-security.kubernetes.io/warn": "strict",
            "pod-security.kubernetes.io/warn-version": "1.25",
        ])
        #expect(policy.enforce.level == .restricted)
        #expect(policy.warn == .init(.privileged))
        #expect(
            policy.problems.map(\.message) == [
                "must be one of privileged, baseline, restricted", "must be one of privileged, baseline, restricted",
                "must be \"latest\" or \"v1.x\"",
            ])
    }

    @Test(arguments: ["v1.", "v1.01", "v1.-1", "v2.0", "v1.1.1", "", "v1.99999999999999999999"])
    func versionsThatAreNone(_ version: String) {
        let policy = PodSecurityPolicy(labels: [
            "pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": version,
        ])
        #expect(policy.problems.map(\.value) == [version])
    }
}
