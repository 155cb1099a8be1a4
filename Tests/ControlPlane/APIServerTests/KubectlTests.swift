// SPDX-License-Identifier: Apache-2.0

import APIServerFixture
import HTTPTransport
import JSON
import KubeAPI
import KubeClient
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import Testing

@testable import APIServer

@Suite(.serialized, .enabled(if: Kubectl.isInstalled)) struct KubectlTests {
    private func withKubectl(_ body: @Sendable @escaping (Kubectl, ServedAPI) async throws -> Void) async throws {
        try await ServedAPI.run { api in
            let kubectl = try Kubectl(api)
            defer { kubectl.remove() }
            try await body(kubectl, api)
        }
    }

    @Test func rawRequestsAnswer() async throws {
        try await withKubectl { kubectl, _ in
            #expect(try await kubectl("get", "--raw", "/healthz").output == "ok")
            #expect(try await kubectl("get", "--raw", "/readyz?verbose").output.contains("readyz check passed"))
            let version = try JSON.parse(try await kubectl("get", "--raw", "/version").output)
            #expect(version["minor"]?.string == "36")
            let list = try JSON.parse(try await kubectl("get", "--raw", "/api/v1/namespaces").output)
            let names = list["items"]?.elements.compactMap { $0["metadata"]?["name"]?.string }
            #expect(names == ["default", "kube-node-lease", "kube-public", "kube-system"])
            let missing = try await kubectl("get", "--raw", "/nothing")
            #expect(missing.status != 0)
        }
    }

    @Test func deprecatedResourcesComeWithAWarning() async throws {
        try await withKubectl { kubectl, api in
            _ = try await api.client.create(
                .serviceAccounts,
                object: KubeObject(.init("", "v1", "ServiceAccount"), namespace: "default", name: "default"))
            let warning = "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice\n"
            for result in [
                try await kubectl("get", "endpoints"),
                try await kubectl("get", "--raw", "/api/v1/namespaces/default/endpoints/kubernetes"),
            ] { #expect(result.errors.contains(warning), "\(result)") }
            #expect(try await kubectl("get", "endpointslices").errors.isEmpty)
            let pod = #"{"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"memory":"500m"}}}]}}"#
            let made = try await kubectl("run", "x", "--image=i", "--overrides", pod, "--dry-run=server")
            #expect(
                made.errors.contains(
                    "Warning: spec.containers[0].resources.limits[memory]: fractional byte value \"500m\""),
                "\(made)")
        }
    }

    @Test func discoveryNamesEveryKind() async throws {
        try await withKubectl { kubectl, _ in
            let resources = try await kubectl("api-resources").output
            #expect(resources.contains("deployments"))
            #expect(resources.contains("networking.k8s.io/v1"))
            #expect(try await kubectl("api-versions").output.contains("rbac.authorization.k8s.io/v1"))
            let explained = try await kubectl("explain", "deployment.spec.strategy")
            #expect(explained.output.contains("rollingUpdate"), "\(explained.errors)")
        }
    }

    private static let deployment = """
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: web, labels: {app: web}}
        spec:
          replicas: 2
          selector: {matchLabels: {app: web}}
          template:
            metadata: {labels: {app: web}}
            spec:
              containers: [{name: c, image: busybox, ports: [{containerPort: 80}]}]
        """

    @Test func applyChangesAndConverges() async throws {
        try await withKubectl { kubectl, _ in
            let first = try await kubectl("apply", "-f", "-", input: Self.deployment)
            #expect(first.output == "deployment.apps/web created\n", "\(first.errors)")
            let second = try await kubectl("apply", "-f", "-", input: Self.deployment)
            #expect(second.output == "deployment.apps/web unchanged\n", "\(second.errors)")
            let changed = Self.deployment.replacing("replicas: 2", with: "replicas: 3")
            let third = try await kubectl("apply", "-f", "-", input: changed)
            #expect(third.output == "deployment.apps/web configured\n", "\(third.errors)")
            let read = try JSON.parse(try await kubectl("get", "deployment", "web", "-o", "json").output)
            #expect(read["spec"]?["replicas"]?.int == 3)
            #expect(read["metadata"]?["generation"]?.int == 2)
            #expect(read["spec"]?["strategy"]?["type"]?.string == "RollingUpdate")
            let scaled = try await kubectl("scale", "deployment", "web", "--replicas=5")
            #expect(scaled.output == "deployment.apps/web scaled\n", "\(scaled.errors)")
            let diff = try await kubectl("diff", "-f", "-", input: changed)
            #expect(diff.status == 1, "\(diff.errors)")
            #expect(diff.output.contains("replicas: 3"))
        }
    }

    @Test func serverSideApplyMindsOwners() async throws {
        try await withKubectl { kubectl, _ in
            let text = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: v}\n"
            let first = try await kubectl("apply", "--server-side", "-f", "-", input: text)
            #expect(first.output.contains("serverside-applied"), "\(first.errors)")
            let other = try await kubectl(
                "apply", "--server-side", "--field-manager=other", "-f", "-",
                input: text.replacing("k: v", with: "k: w"))
            #expect(other.errors.contains("conflict"), "\(other.errors)")
            let forced = try await kubectl(
                "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-",
                input: text.replacing("k: v", with: "k: w"))
            #expect(forced.status == 0, "\(forced.errors)")
        }
    }

    @Test func patchesOfAllKindsApply() async throws {
        try await withKubectl { kubectl, _ in
            try await kubectl("apply", "-f", "-", input: Self.deployment)
            let strategic = try await kubectl(
                "patch", "deployment", "web", "-p",
                #"{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"other"}]}}}}"#)
            #expect(strategic.output.contains("patched"), "\(strategic.errors)")
            let merge = try await kubectl(
                "patch", "deployment", "web", "--type=merge", "-p", #"{"metadata":{"labels":{"x":"y"}}}"#)
            #expect(merge.status == 0, "\(merge.errors)")
            let json = try await kubectl(
                "patch", "deployment", "web", "--type=json", "-p",
                #"[{"op":"replace","path":"/spec/replicas","value":7}]"#)
            #expect(json.status == 0, "\(json.errors)")
            let read = try JSON.parse(try await kubectl("get", "deployment", "web", "-o", "json").output)
            let container = read["spec"]?["template"]?["spec"]?["containers"]?[0]
            #expect(container?["image"]?.string == "other")
            #expect(container?["ports"]?[0]?["containerPort"]?.int == 80)
            #expect(read["spec"]?["replicas"]?.int == 7)
            #expect(read["metadata"]?["labels"]?["x"]?.string == "y")
        }
    }

    @Test func servicesGetAddressesAndPorts() async throws {
        try await withKubectl { kubectl, _ in
            let made = try await kubectl("create", "service", "nodeport", "a", "--tcp=80")
            #expect(made.status == 0, "\(made.errors)")
            let a = try JSON.parse(try await kubectl("get", "service", "a", "-o", "json").output)["spec"]
            #expect(a?["clusterIP"]?.string?.hasPrefix("10.152.") == true)
            #expect((30000...32767).contains(a?["ports"]?[0]?["nodePort"]?.int ?? 0))
            let headless = try await kubectl("create", "service", "clusterip", "b", "--clusterip=None")
            #expect(headless.status == 0, "\(headless.errors)")
            let outside = try await kubectl("create", "service", "clusterip", "c", "--clusterip=1.2.3.4", "--tcp=80")
            #expect(outside.errors.contains("not in the valid range"), "\(outside.errors)")
            let own = try JSON.parse(try await kubectl("get", "service", "kubernetes", "-o", "json").output)
            #expect(own["spec"]?["clusterIP"]?.string == "10.152.0.1")
            let edited = try await kubectl("label", "service", "a", "x=y")
            #expect(edited.status == 0, "\(edited.errors)")
            #expect(try await kubectl("delete", "service", "a").output.contains("deleted"))
        }
    }

    @Test func namespaceStaysUntilItIsFinalized() async throws {
        try await withKubectl { kubectl, api in
            try await kubectl("create", "namespace", "n")
            let deleted = try await kubectl("delete", "namespace", "n", "--wait=false")
            #expect(deleted.status == 0, "\(deleted.errors)")
            let refused = try await kubectl("create", "configmap", "c", "-n", "n")
            #expect(
                refused.errors.contains("unable to create new content in namespace n because it is being terminated"),
                "\(refused.errors)")
            var namespace = try await api.client.get(.init("", "v1", "namespaces"), namespace: nil, name: "n")
            #expect(namespace.status["phase"]?.string == "Terminating")
            namespace.json["spec", "finalizers"] = []
            _ = try await api.client.update(
                .init("", "v1", "namespaces"), subresource: "finalize", object: namespace, options: .init())
            #expect(try await kubectl("get", "namespace", "n").errors.contains("NotFound"))
        }
    }

    @Test func podsAreAdmittedAndBound() async throws {
        try await withKubectl { kubectl, api in
            try await kubectl("create", "serviceaccount", "default")
            let run = try await kubectl("run", "p", "--image=busybox")
            #expect(run.status == 0, "\(run.errors)")
            let pods = GroupVersionResource("", "v1", "pods")
            let pod = try await api.client.get(pods, namespace: "default", name: "p")
            #expect(pod.status["phase"]?.string == "Pending")
            #expect(pod.status["qosClass"]?.string == "BestEffort")
            #expect(pod.spec["serviceAccountName"]?.string == "default")
            #expect(pod.spec["priority"]?.int == 0)
            #expect(pod.spec["tolerations"]?.elements.count == 2)
            #expect(pod.spec["volumes"]?[0]?["projected"]?["sources"]?.elements.count == 3)
            #expect(
                pod.spec["containers"]?[0]?["volumeMounts"]?[0]?["mountPath"]?.string
                    == "/var/run/secrets/kubernetes.io/serviceaccount")
            let binding = KubeObject([
                "apiVersion": "v1", "kind": "Binding", "metadata": ["name": "p", "namespace": "default"],
                "target": ["kind": "Node", "name": "n1"],
            ])
            _ = try await api.client.create(
                pods, namespace: "default", name: "p", subresource: "binding", object: binding, options: .init())
            let deleted = try await kubectl("delete", "pod", "p", "--wait=false")
            #expect(deleted.status == 0, "\(deleted.errors)")
            let going = try await api.client.get(pods, namespace: "default", name: "p")
            #expect(going.metadata["deletionGracePeriodSeconds"]?.int == 30)
            try await api.client.delete(pods, namespace: "default", name: "p", options: .init(gracePeriodSeconds: 0))
            #expect(try await kubectl("get", "pod", "p").errors.contains("NotFound"))
        }
    }

    @Test func accountsAreHeldToTheirRoles() async throws {
        try await withKubectl { kubectl, _ in
            try await kubectl("create", "serviceaccount", "robot")
            let token = try await kubectl("create", "token", "robot").output.filter { $0 != "\n" }
            #expect(token.split(separator: ".").count == 3)
            let who = try await kubectl("--token", token, "auth", "whoami", "-o", "json")
            #expect(who.output.contains("system:serviceaccount:default:robot"), "\(who.errors)")
            let refused = try await kubectl("--token", token, "get", "configmaps")
            #expect(refused.errors.contains("cannot list resource \"configmaps\" in API group"), "\(refused.errors)")
            try await kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
            try await kubectl("create", "rolebinding", "robot", "--role=reader", "--serviceaccount=default:robot")
            #expect(try await kubectl("--token", token, "get", "configmaps").status == 0)
            #expect(try await kubectl("--token", token, "auth", "can-i", "get", "configmaps").output == "yes\n")
            #expect(try await kubectl("--token", token, "auth", "can-i", "delete", "configmaps").output == "no\n")
            let asRobot = try await kubectl(
                "--as=system:serviceaccount:default:robot", "auth", "can-i", "list", "configmaps")
            #expect(asRobot.output == "yes\n", "\(asRobot.errors)")
            #expect(try await kubectl("--token", "nonsense", "get", "pods").errors.contains("logged in"))
        }
    }

    @Test func strictValidationNamesThePath() async throws {
        try await withKubectl { kubectl, _ in
            let text = Self.deployment.replacing("replicas: 2", with: "replicaz: 2")
            let refused = try await kubectl("apply", "-f", "-", input: text)
            #expect(refused.errors.contains(#"unknown field "spec.replicaz""#), "\(refused.errors)")
            let warned = try await kubectl("apply", "--validate=warn", "-f", "-", input: text)
            #expect(warned.errors.contains(#"Warning: unknown field "spec.replicaz""#), "\(warned.errors)")
        }
    }

    @Test func tablesHaveTheColumnsOfTheirKind() async throws {
        try await withKubectl { kubectl, _ in
            try await kubectl("apply", "-f", "-", input: Self.deployment)
            let list = try await kubectl("get", "deployments")
            #expect(list.output.hasPrefix("NAME   READY   UP-TO-DATE   AVAILABLE   AGE\n"), "\(list)")
            let wide = try await kubectl("get", "deployments", "-o", "wide")
            #expect(wide.output.contains("SELECTOR"))
            let watched = try await kubectl("get", "deployments", "-w", "--request-timeout=2s")
            #expect(watched.output.contains("web    0/2"), "\(watched)")
            let described = try await kubectl("describe", "deployment", "web")
            #expect(described.output.contains("StrategyType:"), "\(described)")
            let label = try await kubectl("get", "deployments", "-l", "app=web", "-o", "name")
            #expect(label.output == "deployment.apps/web\n")
            #expect(try await kubectl("get", "deployments", "-l", "app=other").errors.contains("No resources found"))
            let waited = try await kubectl(
                "wait", "deployment/web", "--for=jsonpath={.spec.replicas}=2", "--timeout=5s")
            #expect(waited.output.contains("condition met"), "\(waited)")
        }
    }

    @Test func logsAndExecReachTheKubelet() async throws {
        try await withKubectl { kubectl, api in
            try await withKubelet(FakeKubelet(), of: api) {
                try await kubectl("create", "serviceaccount", "default")
                try await kubectl("run", "p", "--image=busybox", "--overrides", #"{"spec":{"nodeName":"n1"}}"#)
                let logs = try await kubectl("logs", "p", "--tail=3")
                #expect(logs.output == "/containerLogs/default/p/p?tailLines=3\n", "\(logs)")
                let raw = try await kubectl("get", "--raw", "/api/v1/nodes/n1/proxy/stats/summary?x=y")
                #expect(raw.output == "/stats/summary?x=y\n", "\(raw)")
                let wrong = try await kubectl("logs", "p", "-c", "nothing")
                #expect(wrong.errors.contains("container nothing is not valid for pod p"), "\(wrong)")
            }
        }
    }
}

/// Says what it was asked.
private struct FakeKubelet: HTTPHandler {
    func handleImmediately(_ request: HTTPRequest) -> HTTPResponse? {
        HTTPResponse(status: .ok, body: .bytes(ByteBuffer(string: request.uri + "\n")))
    }

    func handle(_ request: HTTPRequest) async -> HTTPResponse {
        HTTPResponse(status: .internalServerError, body: .bytes(ByteBuffer()))
    }
}
