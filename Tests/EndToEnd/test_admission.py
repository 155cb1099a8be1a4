# SPDX-License-Identifier: Apache-2.0
"""Pods that a node does not take, whoever bound them to it."""

import unittest

from node import NodeTestCase, until


class AdmissionTests(NodeTestCase):
    def refused(self, name, **spec):
        """Binds a pod past the scheduler and gives reason and message of its failure, and the events' messages."""
        self.node.apply(self.pod(name, nodeName=self.node.name, **spec))
        status = until(lambda: (s := self.node.json("get", "pod", name)["status"]).get("phase") == "Failed" and s,
                       what=f"the refusal of pod {name}")
        def told():
            items = self.node.json("get", "events", f"--field-selector=involvedObject.name={name}")["items"]
            return [event["message"] for event in items if event["reason"] == status["reason"]]
        return status["reason"], status["message"], until(told)

    def test_another_operating_system(self):
        message = "Failed to admit pod as the OS field doesn't match node OS"
        self.assertEqual(self.refused("windows", os={"name": "windows"}),
                         ("PodOSNotSupported", f"Pod was rejected: {message}", [message]))

    def test_another_node(self):
        message = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
        term = {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["fast"]}]}
        affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
        for name, spec in (("selector", {"nodeSelector": {"disk": "fast"}}), ("affinity", {"affinity": affinity})):
            self.assertEqual(self.refused(name, **spec), ("NodeAffinity", f"Pod was rejected: {message}", [message]))
        # A label counts at once.
        self.node.kubectl("label", "node", self.node.name, "disk=fast")
        self.start_pod("labelled", nodeName=self.node.name, nodeSelector={"disk": "fast"})

    def test_user_namespaces(self):
        self.node.apply(self.pod("users", hostUsers=False))
        def told():
            items = self.node.json("get", "events", "--field-selector=involvedObject.name=users")["items"]
            return [event["message"] for event in items if event["reason"] == "FailedCreatePodSandBox"]
        self.assertIn("does not support user namespaces", until(told)[0])
        self.assertEqual(self.node.json("get", "pod", "users")["status"]["phase"], "Pending")
        self.node.kubectl("delete", "pod", "users", "--timeout=20s")


if __name__ == "__main__":
    unittest.main()
