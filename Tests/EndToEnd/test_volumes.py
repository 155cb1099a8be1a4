# SPDX-License-Identifier: Apache-2.0
"""Volumes as containers see them: parts of them, and what they show when objects change."""

import json
import unittest

from node import NodeTestCase, until


class VolumeTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.kubectl("create", "configmap", "part", "--from-literal=key=of a config map")
        cls.node.kubectl("create", "secret", "generic", "part", "--from-literal=key=of a secret")

    def output(self, name, command, volume, mount, **spec):
        """What a pod with one volume prints."""
        self.addCleanup(self.node.kubectl, "delete", "pod", name, "--force", "--grace-period=0", check=False)
        phase, output = self.finished_pod(name, command, volumes=[{"name": "v", **volume}],
                                     container={"volumeMounts": [{"name": "v", **mount}], **spec.pop("container", {})},
                                     **spec)
        self.assertEqual(phase, "Succeeded")
        return output

    def test_a_part_of_each_kind_of_volume(self):
        projected = {"projected": {"sources": [{"configMap": {"name": "part"}}]}}
        downward = {"downwardAPI": {"items": [{"path": "key", "fieldRef": {"fieldPath": "metadata.name"}}]}}
        for name, volume, expected in [
                ("map", {"configMap": {"name": "part"}}, "of a config map"),
                ("secret", {"secret": {"secretName": "part"}}, "of a secret"),
                ("projected", projected, "of a config map"), ("downward", downward, "part-downward")]:
            with self.subTest(name):
                self.assertEqual(self.output(f"part-{name}", "cat /test/file", volume,
                                             {"mountPath": "/test/file", "subPath": "key"}), expected)

    def test_directories_of_a_volume_by_name_and_by_expression(self):
        host = {"hostPath": {"path": str(self.node.directory / "shared"), "type": "DirectoryOrCreate"}}
        self.output("writer", "echo by name > /test/file", host, {"mountPath": "/test", "subPath": "a/b"})
        self.output("expression", "echo by expression > /test/file", host,
                    {"mountPath": "/test", "subPathExpr": "$(POD)/c"},
                    container={"env": [{"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]})
        shared = self.node.directory / "shared"
        self.assertEqual((shared / "a/b/file").read_text(), "by name\n")
        self.assertEqual((shared / "expression/c/file").read_text(), "by expression\n")
        self.assertEqual(self.output("empty", "echo x > /test/y; cat /test/y", {"emptyDir": {}},
                                     {"mountPath": "/test", "subPath": "new"}), "x\n")

    def test_no_part_leads_out_of_the_volume(self):
        shared = self.node.directory / "trap"
        (shared / "etc").mkdir(parents=True)
        (shared / "out").symlink_to("/etc")
        self.assertEqual(self.output("trapped", "ls -A /test; echo mine > /test/passwd",
                                     {"hostPath": {"path": str(shared)}}, {"mountPath": "/test", "subPath": "out"}), "")
        # In the volume's own etc, that is.
        self.assertEqual((shared / "etc/passwd").read_text(), "mine\n")

    def test_changed_labels_show(self):
        items = [{"path": name, "fieldRef": {"fieldPath": f"metadata.{name}"}} for name in ("labels", "annotations")]
        volumes = [{"name": "plain", "downwardAPI": {"items": items}},
                   {"name": "projected", "projected": {"sources": [{"downwardAPI": {"items": items}}]}}]
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in ("plain", "projected")]
        self.start_pod("labelled", volumes=volumes, container={"volumeMounts": mounts})
        self.node.kubectl("label", "pod", "labelled", "colour=red")
        self.node.kubectl("annotate", "pod", "labelled", "shape=round")

        def shown():
            return self.node.kubectl("exec", "labelled", "--", "sh", "-c", "cat /plain/* /projected/*").stdout

        until(lambda: shown().count('colour="red"') == 2 and shown().count('shape="round"') == 2, 30, "the new labels")

    def test_a_volume_that_cannot_be_mounted_leaves_no_sandbox_to_be_seen(self):
        self.node.apply(self.pod("waiting", volumes=[{"name": "v", "configMap": {"name": "missing"}}]))
        until(lambda: "FailedMount" in self.node.kubectl("get", "events", "--field-selector",
                                                         "involvedObject.name=waiting").stdout, 30, "the event")
        status = self.node.json("get", "pod", "waiting")["status"]
        condition = next(c for c in status["conditions"] if c["type"] == "PodReadyToStartContainers")
        self.assertEqual((condition["status"], status.get("podIP")), ("False", None), json.dumps(status))
        self.node.kubectl("delete", "pod", "waiting", "--force", "--grace-period=0")


if __name__ == "__main__":
    unittest.main()
