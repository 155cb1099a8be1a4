# SPDX-License-Identifier: Apache-2.0
"""The API as stock kubectl sees it."""

import json
import unittest

from node import NodeTestCase, until


class ClusterTests(NodeTestCase):
    def test_version_and_cluster_info(self):
        version = json.loads(self.node.kubectl("version", "-o", "json").stdout)
        self.assertTrue(version["serverVersion"]["gitVersion"].startswith("v1.36."))
        self.assertIn("is running at", self.node.kubectl("cluster-info").stdout)

    def test_discovery(self):
        resources = self.node.kubectl("api-resources", "-o", "wide").stdout
        for line in ("pods", "deployments", "leases", "clusterroles", "horizontalpodautoscalers"):
            self.assertIn(line, resources)
        self.assertIn("apps/v1", self.node.kubectl("api-versions").stdout.split())

    def test_explain(self):
        text = self.node.kubectl("explain", "deployment.spec.strategy.rollingUpdate").stdout
        self.assertIn("maxSurge", text)

    def test_node_is_described(self):
        text = self.node.kubectl("describe", "node", self.node.name).stdout
        self.assertIn("KubeletReady", text)
        self.assertIn("Capacity:", text)
        table = self.node.kubectl("get", "nodes", "-o", "wide").stdout
        self.assertEqual(table.split()[:5], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"])

    def test_default_objects(self):
        names = self.node.kubectl("get", "namespaces", "-o", "name").stdout.split()
        for name in ("default", "kube-system", "kube-public", "kube-node-lease"):
            self.assertIn(f"namespace/{name}", names)
        until(lambda: self.node.kubectl("get", "serviceaccount", "default", check=False).returncode == 0)
        self.assertEqual(self.node.json("get", "service", "kubernetes")["spec"]["clusterIP"], "10.152.0.1")
        until(lambda: "ca.crt" in self.node.json("get", "configmap", "kube-root-ca.crt")["data"])

    def test_rbac(self):
        self.assertEqual(self.node.kubectl("auth", "can-i", "create", "pods").stdout.strip(), "yes")
        refused = self.node.kubectl("auth", "can-i", "list", "secrets", "--as=mallory", check=False)
        self.assertEqual(refused.stdout.strip(), "no")
        text = self.node.kubectl("get", "secrets", "--as=mallory", check=False).stderr
        self.assertIn('User "mallory" cannot list resource "secrets" in API group "" in the namespace "default"', text)

    def test_service_account_permissions(self):
        self.node.kubectl("create", "serviceaccount", "reader")
        self.node.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
        self.node.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
        token = self.node.kubectl("create", "token", "reader").stdout.strip()
        server = self.node.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").stdout
        def status(path):
            return self.node.execute("curl", "-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H",
                                     f"Authorization: Bearer {token}", server + path).stdout
        until(lambda: status("/api/v1/namespaces/default/configmaps") == "200", 5, "the binding's effect")
        self.assertEqual(status("/api/v1/namespaces/default/secrets"), "403")
        self.assertEqual(status("/api/v1/namespaces/kube-system/configmaps"), "403")


class ObjectTests(NodeTestCase):
    MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: %s, labels: {app: web}}
data: {key: "%s"}
---
apiVersion: v1
kind: Secret
metadata: {name: %s}
stringData: {password: s3cret}
"""

    def manifest(self, name, value):
        return self.MANIFEST % (name, value, name)

    def test_apply_and_reapply(self):
        self.assertIn("configmap/one created", self.node.apply(self.manifest("one", "a")).stdout)
        self.assertIn("configmap/one unchanged", self.node.apply(self.manifest("one", "a")).stdout)
        self.assertIn("configmap/one configured", self.node.apply(self.manifest("one", "b")).stdout)
        self.assertEqual(self.node.json("get", "configmap", "one")["data"], {"key": "b"})
        self.assertEqual(self.node.json("get", "secret", "one")["data"], {"password": "czNjcmV0"})

    def test_server_side_apply_and_its_conflicts(self):
        manifest = self.manifest("ssa", "a")
        self.node.apply(manifest, "--server-side", "--field-manager=alice")
        refused = self.node.kubectl("apply", "--server-side", "--field-manager=bob", "-f", "-",
                                    input=self.manifest("ssa", "b"), check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn('conflict with "alice"', refused.stderr)
        self.assertIn(".data.key", refused.stderr)
        self.node.apply(self.manifest("ssa", "b"), "--server-side", "--field-manager=bob", "--force-conflicts")
        self.assertEqual(self.node.json("get", "configmap", "ssa")["data"], {"key": "b"})

    def test_diff(self):
        self.node.apply(self.manifest("diff", "a"))
        self.assertEqual(
            self.node.kubectl("diff", "-f", "-", input=self.manifest("diff", "a"), check=False).returncode, 0)
        changed = self.node.kubectl("diff", "-f", "-", input=self.manifest("diff", "b"), check=False)
        self.assertEqual(changed.returncode, 1)
        self.assertIn("+  key: b", changed.stdout)

    def test_patches(self):
        self.node.kubectl("create", "configmap", "patched", "--from-literal=a=1", "--from-literal=b=2")
        def patch(kind, text):
            self.node.kubectl("patch", "configmap", "patched", "--type", kind, "-p", text)
            return self.node.json("get", "configmap", "patched")["data"]
        self.assertEqual(patch("merge", '{"data":{"a":null,"c":"3"}}'), {"b": "2", "c": "3"})
        self.assertEqual(patch("json", '[{"op":"replace","path":"/data/b","value":"x"}]'), {"b": "x", "c": "3"})
        self.assertEqual(patch("strategic", '{"data":{"d":"4"}}'), {"b": "x", "c": "3", "d": "4"})
        refused = self.node.kubectl("patch", "configmap", "patched", "--type", "json", "-p",
                                    '[{"op":"test","path":"/data/b","value":"y"}]', check=False)
        self.assertNotEqual(refused.returncode, 0)

    def test_labels_annotations_and_selectors(self):
        self.node.kubectl("create", "configmap", "labelled")
        self.node.kubectl("label", "configmap", "labelled", "tier=front")
        self.node.kubectl("annotate", "configmap", "labelled", "note=x")
        self.assertEqual(self.node.kubectl("get", "configmap", "-l", "tier in (front,back)", "-o", "name").stdout,
                         "configmap/labelled\n")
        self.assertEqual(
            self.node.kubectl("get", "configmap", "--field-selector=metadata.name=labelled", "-o", "name").stdout,
            "configmap/labelled\n")
        self.assertNotEqual(
            self.node.kubectl("get", "configmap", "--field-selector=data.x=y", check=False).returncode, 0)

    def test_output_forms(self):
        self.node.kubectl("create", "configmap", "shown", "--from-literal=a=1")
        get = lambda form: self.node.kubectl("get", "configmap", "shown", "-o", form).stdout
        self.assertIn("kind: ConfigMap", get("yaml"))
        self.assertEqual(get("jsonpath={.data.a}"), "1")
        self.assertEqual(get("name"), "configmap/shown\n")
        self.assertEqual(get("custom-columns=N:.metadata.name").split(), ["N", "shown"])
        self.assertEqual(self.node.kubectl("get", "configmap", "shown").stdout.split()[:3], ["NAME", "DATA", "AGE"])

    def test_bad_input_names_the_field(self):
        def refused(manifest, *arguments):
            result = self.node.kubectl("apply", *arguments, "-f", "-", input=manifest, check=False)
            self.assertNotEqual(result.returncode, 0)
            return result.stderr
        self.assertIn('unknown field "metadata.nam"', refused(
            '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x","nam":"y"}}'))
        self.assertIn("a lowercase RFC 1123 subdomain", refused(
            '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"Bad_Name"}}'))
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"},
               "spec": {"containers": [{"name": "c", "image": "i", "resources": {"limits": {"cpu": "lots"}}}]}}
        self.assertRegex(refused(json.dumps(pod)), "quantities must match|quantity")
        del pod["spec"]["containers"][0]["resources"]
        del pod["spec"]["containers"][0]["name"]
        self.assertIn("spec.containers[0].name: Required value", refused(json.dumps(pod)))

    def test_namespace_deletion_removes_what_is_in_it(self):
        self.node.kubectl("create", "namespace", "doomed")
        self.node.kubectl("create", "configmap", "x", "-n", "doomed")
        self.node.kubectl("delete", "namespace", "doomed", "--timeout=30s")
        self.assertNotEqual(self.node.kubectl("get", "namespace", "doomed", check=False).returncode, 0)

    def test_create_with_generators(self):
        self.node.kubectl("create", "secret", "generic", "made", "--from-literal=a=b")
        self.node.kubectl("create", "quota", "made", "--hard=pods=10")
        self.node.kubectl("create", "service", "clusterip", "made", "--tcp=80:8080")
        self.assertRegex(self.node.json("get", "service", "made")["spec"]["clusterIP"], r"^10\.152\.")


if __name__ == "__main__":
    unittest.main()
