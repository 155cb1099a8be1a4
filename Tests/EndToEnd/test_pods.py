# SPDX-License-Identifier: Apache-2.0
"""Pods: what runs in them, what they see, and how they end."""

import json
import unittest
from pathlib import Path

from node import IMAGE, NodeTestCase, run, until


class PodTests(NodeTestCase):
    def test_runs_and_gets_an_address(self):
        self.start_pod("plain")
        pod = self.node.json("get", "pod", "plain")
        self.assertRegex(pod["status"]["podIP"], r"^10\.1\.0\.")
        self.assertEqual(pod["status"]["phase"], "Running")
        self.assertTrue(pod["status"]["containerStatuses"][0]["ready"])
        self.assertEqual(self.node.kubectl("get", "pod", "plain").stdout.split()[5:8], ["plain", "1/1", "Running"])
        events = self.node.kubectl("describe", "pod", "plain").stdout
        for reason in ("Scheduled", "Pulled", "Created", "Started"):
            self.assertIn(reason, events)

    def test_logs(self):
        self.start_pod("logging", "for i in 1 2 3; do echo line $i; done; echo oops >&2; sleep 100000")
        until(lambda: "oops" in self.node.kubectl("logs", "logging").stdout)
        self.assertEqual(self.node.kubectl("logs", "logging", "--tail=2").stdout.count("\n"), 2)
        self.assertIn("line 1", self.node.kubectl("logs", "logging", "-c", "c", "--since=1h").stdout)

    def test_exec(self):
        self.start_pod("target")
        self.assertEqual(self.node.kubectl("exec", "target", "--", "echo", "hello").stdout, "hello\n")
        self.assertEqual(self.node.kubectl("exec", "target", "--", "sh", "-c", "exit 7", check=False).returncode, 7)
        echoed = self.node.kubectl("exec", "-i", "target", "--", "cat", input="from outside")
        self.assertEqual(echoed.stdout, "from outside")
        self.assertEqual(self.node.kubectl("exec", "target", "--", "hostname").stdout, "target\n")

    def test_copies_files(self):
        self.start_pod("files")
        self.node.kubectl("exec", "files", "--", "sh", "-c", "echo inside > /tmp/x")
        target = self.node.directory / "copied"
        self.node.kubectl("cp", "files:/tmp/x", target)
        self.assertEqual(target.read_text(), "inside\n")

    def test_ends_with_its_exit_code(self):
        phase, log = self.finished_pod("good", "echo done")
        self.assertEqual((phase, log), ("Succeeded", "done\n"))
        phase, _ = self.finished_pod("bad", "exit 3")
        self.assertEqual(phase, "Failed")
        state = self.node.json("get", "pod", "bad")["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual((state["exitCode"], state["reason"]), (3, "Error"))

    def test_restarts_what_dies_and_keeps_its_log(self):
        self.node.apply(self.pod("crashing", "echo run; exit 1"))
        status = lambda: self.node.json("get", "pod", "crashing")["status"].get("containerStatuses", [{}])[0]
        until(lambda: status().get("restartCount", 0) >= 1 and status().get("lastState", {}).get("terminated"))
        self.assertEqual(status()["lastState"]["terminated"]["exitCode"], 1)
        self.assertEqual(self.node.kubectl("logs", "crashing", "--previous").stdout, "run\n")
        until(lambda: status()["state"].get("waiting", {}).get("reason") == "CrashLoopBackOff")

    def test_init_containers_run_first(self):
        init = [{"name": f"i{n}", "image": IMAGE, "command": ["sh", "-c", f"echo {n} >> /shared/order"],
                 "volumeMounts": [{"name": "shared", "mountPath": "/shared"}]} for n in (1, 2)]
        phase, log = self.finished_pod(
            "ordered", "cat /shared/order", initContainers=init, volumes=[{"name": "shared", "emptyDir": {}}],
            container={"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]})
        self.assertEqual((phase, log), ("Succeeded", "1\n2\n"))

    def test_environment(self):
        self.node.kubectl("create", "configmap", "env", "--from-literal=FROM_MAP=m")
        self.node.kubectl("create", "secret", "generic", "env", "--from-literal=key=s")
        env = [{"name": "PLAIN", "value": "p"}, {"name": "COMBINED", "value": "$(PLAIN)-x"},
               {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "env", "key": "key"}}},
               {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
        _, log = self.finished_pod(
            "environment", 'echo $PLAIN $COMBINED $SECRET $NAME $FROM_MAP $KUBERNETES_SERVICE_HOST',
            container={"env": env, "envFrom": [{"configMapRef": {"name": "env"}}]})
        self.assertEqual(log, "p p-x s environment m 10.152.0.1\n")

    def test_volumes(self):
        self.node.kubectl("create", "configmap", "files", "--from-literal=a=1")
        self.node.kubectl("create", "secret", "generic", "files", "--from-literal=b=2")
        mounts = [("map", {"configMap": {"name": "files"}}), ("secret", {"secret": {"secretName": "files"}}),
                  ("down", {"downwardAPI": {"items": [{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}]}})]
        _, log = self.finished_pod(
            "volumes", "cat /map/a /secret/b /down/labels; echo; ls /var/run/secrets/kubernetes.io/serviceaccount",
            volumes=[{"name": n, **source} for n, source in mounts],
            container={"volumeMounts": [{"name": n, "mountPath": f"/{n}"} for n, _ in mounts]})
        self.assertTrue(log.startswith('12app="volumes"'), log)
        self.assertEqual(log.split()[-3:], ["ca.crt", "namespace", "token"])

    def test_host_path_and_security_context(self):
        phase, log = self.finished_pod(
            "restricted", "id -u; id -g; touch /x 2>/dev/null && echo writable || echo read-only",
            container={"securityContext": {"runAsUser": 1000, "runAsGroup": 2000, "readOnlyRootFilesystem": True,
                                           "capabilities": {"drop": ["ALL"]}, "allowPrivilegeEscalation": False}})
        self.assertEqual((phase, log), ("Succeeded", "1000\n2000\nread-only\n"))

    def test_privileged_containers_have_the_machines_devices(self):
        script = "test -c /dev/kmsg && echo there || echo missing"
        self.assertEqual(self.finished_pod("ordinary", script), ("Succeeded", "missing\n"))
        privileged = {"securityContext": {"privileged": True}}
        self.assertEqual(
            self.finished_pod("privileged", script + "; ls /dev/pts; test -h /dev/ptmx && echo own", container=privileged),
            ("Succeeded", "there\nptmx\nown\n"))

    def test_probes(self):
        probe = {"exec": {"command": ["test", "-e", "/tmp/ready"]}, "periodSeconds": 1}
        self.node.apply(self.pod("probed", container={"readinessProbe": probe}))
        ready = lambda: self.node.json("get", "pod", "probed")["status"].get("containerStatuses", [{}])[0].get("ready")
        until(lambda: self.node.json("get", "pod", "probed")["status"]["phase"] == "Running")
        self.assertFalse(ready())
        self.node.kubectl("exec", "probed", "--", "touch", "/tmp/ready")
        until(ready)

    def test_deletes_in_time(self):
        self.start_pod("stubborn", "trap '' TERM; sleep 100000")
        self.node.kubectl("delete", "pod", "stubborn", "--timeout=10s")
        self.assertNotEqual(self.node.kubectl("get", "pod", "stubborn", check=False).returncode, 0)

    def test_missing_image_is_told(self):
        self.node.apply(self.pod("missing", container={"image": "127.0.0.1:1/none:1"}))
        state = lambda: self.node.json("get", "pod", "missing")["status"].get("containerStatuses", [{}])[0].get("state", {})
        until(lambda: state().get("waiting", {}).get("reason") in ("ErrImagePull", "ImagePullBackOff"))
        self.assertIn("Failed to pull image", self.node.kubectl("describe", "pod", "missing").stdout)

    def test_pods_reach_each_other(self):
        self.start_pod("server", "echo hi > /tmp/index.html; httpd -f -p 8080 -h /tmp")
        address = self.node.json("get", "pod", "server")["status"]["podIP"]
        _, log = self.finished_pod("client", f"wget -q -O - http://{address}:8080/index.html")
        self.assertEqual(log, "hi\n")

    def cgroup(self, pod, controller, name):
        """A file of the container's own cgroup on the node."""
        unified = f"/sys/fs/cgroup/{name}"
        return self.node.kubectl("exec", pod, "--", "sh", "-c", f"cat {unified} /sys/fs/cgroup/{controller}/{name}",
                                 check=False).stdout.strip()

    def resize(self, name, resources):
        patch = {"spec": {"containers": [{"name": "c", "resources": resources}]}}
        self.node.kubectl("patch", "pod", name, "--subresource=resize", "-p", json.dumps(patch))

    def condition(self, pod, kind):
        return next((c for c in pod["status"].get("conditions", []) if c["type"] == kind), None)

    def test_resizes_in_place(self):
        amounts = lambda cpu, memory: {kind: {"cpu": cpu, "memory": memory} for kind in ("requests", "limits")}
        self.start_pod("resized", container={
            "resources": amounts("100m", "64Mi"),
            "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"},
                             {"resourceName": "memory", "restartPolicy": "RestartContainer"}]})
        status = lambda: self.node.json("get", "pod", "resized")["status"]["containerStatuses"][0]
        shows = lambda cpu, memory: until(lambda: status()["ready"] and status().get("resources") == amounts(cpu, memory)
                                          and status()["allocatedResources"] == amounts(cpu, memory)["requests"])
        limit = lambda: (self.cgroup("resized", "memory", "memory.max")
                         or self.cgroup("resized", "memory", "memory.limit_in_bytes"))
        shares = lambda: (self.cgroup("resized", "cpu", "cpu.weight") or self.cgroup("resized", "cpu", "cpu.shares"))
        shows("100m", "64Mi")
        before = shares()
        self.resize("resized", amounts("200m", "64Mi"))
        shows("200m", "64Mi")
        self.assertNotEqual(shares(), before)
        self.assertEqual(status()["restartCount"], 0)
        self.resize("resized", amounts("200m", "96Mi"))
        until(lambda: status()["restartCount"] == 1)
        shows("200m", "96Mi")
        self.assertEqual(limit(), str(96 << 20))
        events = lambda: self.node.kubectl("describe", "pod", "resized").stdout
        until(lambda: "ResizeCompleted" in events())
        self.assertIn("ResizeStarted", events())
        self.assertIn("Container c resize requires restart", events())
        self.resize("resized", amounts("1000", "96Mi"))
        pending = until(lambda: self.condition(self.node.json("get", "pod", "resized"), "PodResizePending"))
        self.assertEqual(pending["reason"], "Infeasible")
        self.assertIn("Node didn't have enough capacity: cpu, requested: 1000000", pending["message"])
        shows("200m", "96Mi")
        self.resize("resized", amounts("250m", "96Mi"))
        shows("250m", "96Mi")
        until(lambda: not self.condition(self.node.json("get", "pod", "resized"), "PodResizePending"))

    def test_a_resize_waits_for_room(self):
        requests = lambda cpu: {"requests": {"cpu": cpu}}
        node = self.node.json("get", "nodes")["items"][0]["status"]["allocatable"]["cpu"]
        whole = int(node[:-1]) if node.endswith("m") else int(node) * 1000
        self.start_pod("other", container={"resources": requests(f"{whole // 2}m")})
        self.start_pod("grows", container={"resources": requests("100m")})
        grows = lambda: self.node.json("get", "pod", "grows")
        granted = lambda: grows()["status"]["containerStatuses"][0]["allocatedResources"]["cpu"]
        wanted = f"{whole - 1000 if whole > 3000 else whole // 2 + 10}m"
        self.resize("grows", requests(wanted))
        pending = until(lambda: self.condition(grows(), "PodResizePending"))
        self.assertEqual(pending["reason"], "Deferred")
        self.assertIn("Node didn't have enough resource: cpu", pending["message"])
        self.node.stop()
        self.node.start()
        self.assertEqual(granted(), "100m")
        self.assertEqual(until(lambda: self.condition(grows(), "PodResizePending"))["reason"], "Deferred")
        self.node.kubectl("delete", "pod", "other", "--timeout=20s")
        until(lambda: granted() == wanted)
        until(lambda: not self.condition(grows(), "PodResizePending"))
        self.assertEqual(grows()["status"]["containerStatuses"][0]["restartCount"], 0)

    def test_user_ports_and_storage(self):
        storage = {"name": "STORAGE", "valueFrom": {"resourceFieldRef": {"resource": "limits.ephemeral-storage"}}}
        phase, log = self.finished_pod(
            "facts", "echo $STORAGE; cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/net/ipv4/ping_group_range; "
            "df -k /memory | tail -1", container={
                "env": [storage], "resources": {"limits": {"memory": "64Mi"}},
                "securityContext": {"runAsUser": 1000, "runAsGroup": 2000},
                "volumeMounts": [{"name": "memory", "mountPath": "/memory"}]},
            securityContext={"supplementalGroups": [3000]},
            volumes=[{"name": "memory", "emptyDir": {"medium": "Memory"}}])
        self.assertEqual(phase, "Succeeded")
        words = log.split()
        self.assertGreater(int(words[0]), 0)
        self.assertEqual(words[1:4], ["0", "0", "2147483647"])
        self.assertIn("65536", words[4:])
        status = self.node.json("get", "pod", "facts")["status"]["containerStatuses"][0]
        self.assertEqual(status["user"], {"linux": {"uid": 1000, "gid": 2000, "supplementalGroups": [2000, 3000]}})

    def test_resources_of_a_whole_pod(self):
        limits = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
        self.start_pod("whole", resources=limits)
        pod = self.node.json("get", "pod", "whole")
        self.assertEqual(pod["status"]["qosClass"], "Burstable")
        groups = list(Path("/sys/fs/cgroup").glob(f"**/kubepods/burstable/pod{pod['metadata']['uid']}"))
        read = lambda *names: next(f.read_text().split()[0] for g in groups for n in names if (f := g / n).exists())
        self.assertEqual(read("memory.max", "memory.limit_in_bytes"), str(64 << 20))
        self.assertEqual(read("cpu.max", "cpu.cfs_quota_us"), "20000")
        limits["requests"]["cpu"] = "50m"
        refused = self.node.kubectl("apply", "-f", "-", check=False, input=self.pod("refused", resources=limits, container={
            "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "1Gi"}}}))
        self.assertIn("must be greater than or equal to aggregate container requests of 100m", refused.stderr)
        self.assertIn("must be less than or equal to pod limits of 64Mi", refused.stderr)

    def test_a_volume_that_holds_too_much_evicts(self):
        self.start_pod("greedy", "dd if=/dev/zero of=/v/f bs=1M count=30; sleep 100000", container={
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=[{"name": "v", "emptyDir": {"sizeLimit": "10Mi"}}])
        status = lambda: self.node.json("get", "pod", "greedy")["status"]
        until(lambda: status()["phase"] == "Failed", 40, "the eviction")
        self.assertEqual(status()["reason"], "Evicted")
        self.assertEqual(status()["message"], 'Usage of EmptyDir volume "v" exceeds the limit "10Mi". ')

    def test_port_forward(self):
        self.start_pod("forwarded", "echo forwarded > /tmp/index.html; httpd -f -p 8080 -h /tmp")
        import subprocess
        process = subprocess.Popen(
            [*self.node.enter, "kubectl", "--kubeconfig", str(self.node.kubeconfig),
             "port-forward", "pod/forwarded", "18080:8080"], stdout=subprocess.PIPE, text=True)
        try:
            self.assertIn("Forwarding from", process.stdout.readline())
            answer = self.node.execute("curl", "-s", "--max-time", "10", "http://127.0.0.1:18080/index.html").stdout
            self.assertEqual(answer, "forwarded\n")
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


class DeploymentTests(NodeTestCase):
    def deployment(self, name, replicas=2, **strategy):
        template = json.loads(self.pod(name))
        spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                "template": {"metadata": {"labels": {"app": name}}, "spec": template["spec"]}}
        spec.update(strategy)
        return json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec})

    def test_rollout_scale_and_undo(self):
        node = self.node
        node.apply(self.deployment("web"))
        node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        made = node.json("get", "deployment", "web")
        self.assertEqual(made["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1")
        # The controller's note of the revision is part of the status, and no new generation.
        self.assertEqual((made["metadata"]["generation"], made["status"]["observedGeneration"]), (1, 1))
        node.kubectl("scale", "deployment/web", "--replicas=4")
        node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        self.assertEqual(node.json("get", "deployment", "web")["status"]["readyReplicas"], 4)
        node.kubectl("set", "env", "deployment/web", "STEP=2")
        node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        history = node.kubectl("rollout", "history", "deployment/web").stdout
        self.assertEqual([line.split()[0] for line in history.splitlines()[2:] if line], ["1", "2"])
        node.kubectl("rollout", "undo", "deployment/web")
        node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        container = node.json("get", "deployment", "web")["spec"]["template"]["spec"]["containers"][0]
        self.assertNotIn("env", container)
        node.kubectl("rollout", "restart", "deployment/web")
        node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        node.kubectl("delete", "deployment", "web")
        until(lambda: not node.json("get", "replicasets", "-l", "app=web")["items"])
        until(lambda: not node.json("get", "pods", "-l", "app=web")["items"])

    def test_recreate_never_runs_two_generations(self):
        node = self.node
        node.apply(self.deployment("single", replicas=1, strategy={"type": "Recreate"}))
        node.kubectl("rollout", "status", "deployment/single", "--timeout=60s")
        node.kubectl("set", "env", "deployment/single", "STEP=2")
        node.kubectl("rollout", "status", "deployment/single", "--timeout=60s")
        self.assertEqual(len(node.json("get", "pods", "-l", "app=single")["items"]), 1)

    def test_replaces_a_deleted_pod(self):
        node = self.node
        node.apply(self.deployment("kept", replicas=1))
        node.kubectl("rollout", "status", "deployment/kept", "--timeout=60s")
        first = node.json("get", "pods", "-l", "app=kept")["items"][0]["metadata"]["name"]
        node.kubectl("delete", "pod", first)
        def replaced():
            pods = node.json("get", "pods", "-l", "app=kept")["items"]
            return [pod for pod in pods if pod["metadata"]["name"] != first and pod["status"]["phase"] == "Running"]
        until(replaced)

    def test_evicts_as_the_budget_allows(self):
        node = self.node
        node.apply(self.deployment("budgeted"))
        node.kubectl("rollout", "status", "deployment/budgeted", "--timeout=60s")
        node.apply(json.dumps({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "budget"},
                               "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"app": "budgeted"}}}}))

        def allowed():
            status = node.json("get", "pdb", "budget")["status"]
            return status.get("disruptionsAllowed") if status.get("currentHealthy") == 2 else None

        def evict():
            name = node.json("get", "pods", "-l", "app=budgeted")["items"][0]["metadata"]["name"]
            eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
            return node.kubectl("create", "--raw", f"/api/v1/namespaces/default/pods/{name}/eviction", "-f", "-",
                                input=json.dumps(eviction), check=False)

        until(lambda: allowed() == 0)
        refused = evict()
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("Cannot evict pod as it would violate the pod's disruption budget", refused.stderr)
        node.kubectl("patch", "pdb", "budget", "--type=merge", "-p", '{"spec":{"maxUnavailable":1}}')
        until(lambda: allowed() == 1)
        self.assertEqual(evict().returncode, 0)
        until(lambda: allowed() == 1)
        node.kubectl("delete", "deployment/budgeted", "pdb/budget")

    def test_orphans_when_asked(self):
        node = self.node
        node.apply(self.deployment("orphaning", replicas=1))
        node.kubectl("rollout", "status", "deployment/orphaning", "--timeout=60s")
        node.kubectl("delete", "deployment", "orphaning", "--cascade=orphan")
        sets = node.json("get", "replicasets", "-l", "app=orphaning")["items"]
        self.assertEqual(len(sets), 1)
        until(lambda: not node.json("get", "replicaset", sets[0]["metadata"]["name"])["metadata"].get("ownerReferences"))
        node.kubectl("delete", "replicaset", sets[0]["metadata"]["name"])


if __name__ == "__main__":
    unittest.main()
