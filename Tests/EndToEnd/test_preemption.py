# SPDX-License-Identifier: Apache-2.0
"""Priority: who gets a node that is full, and what its users are told about it."""

import json
import unittest

from node import NodeTestCase, until

RESOURCE = "example.com/fakecpu"


class PreemptionTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, value, policy in (("low", 1, "PreemptLowerPriority"), ("high", 1000, "PreemptLowerPriority"),
                                    ("patient", 1000, "Never")):
            cls.node.apply(json.dumps({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                                       "metadata": {"name": name}, "value": value, "preemptionPolicy": policy}))

    def give(self, amount):
        """Has the node offer so much of a resource that is no machine's."""
        patch = json.dumps({"status": {"capacity": {RESOURCE: amount}}})
        self.node.kubectl("patch", "node", self.node.name, "--subresource=status", "--type=merge", "-p", patch)
        until(lambda: self.node.json("get", "node", self.node.name)["status"]["allocatable"].get(RESOURCE) == amount, 5,
              "what pods may use of it")

    def setUp(self):
        super().setUp()
        self.give("10")
        self.addCleanup(self.clear)

    def clear(self):
        for namespace in ("default", "kube-system"):
            self.node.kubectl("delete", "pods", "-l", "preemption", "-n", namespace, "--grace-period=1", "--timeout=20s")
        self.give(None)

    def claim(self, name, priority, amount, command="sleep 100000", namespace="default", **spec):
        amounts = {RESOURCE: str(amount)}
        pod = json.loads(self.pod(name, command, priorityClassName=priority,
                                  container={"resources": {"requests": amounts, "limits": amounts}}, **spec))
        pod["metadata"] |= {"namespace": namespace, "labels": {"preemption": name}}
        self.node.apply(json.dumps(pod))
        return lambda: self.node.json("get", "pod", name, "-n", namespace)

    def ready(self, name, namespace="default"):
        self.node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "-n", namespace, "--timeout=30s")

    def condition(self, pod, kind):
        return next((c for c in pod["status"].get("conditions", []) if c["type"] == kind), {})

    def events(self, pod, reason):
        """What was reported of this very pod: those of another test may have had its name."""
        reported = self.node.json("get", "events.events.k8s.io", "--field-selector", f"reason={reason}")["items"]
        return [e for e in reported if e["regarding"]["uid"] == pod["metadata"]["uid"]]

    def test_the_less_important_pod_goes(self):
        stays = self.claim("stays", "high", 3)
        # It takes its time, so that what is so meanwhile can be seen.
        goes = self.claim("goes", "low", 6, "trap '' TERM; until [ -e /tmp/go ]; do sleep 0.2; done",
                          terminationGracePeriodSeconds=120)
        self.ready("stays")
        self.ready("goes")
        patient = self.claim("patient", "patient", 5)
        until(lambda: self.condition(patient(), "PodScheduled").get("message")
              == f"0/1 nodes are available: 1 Insufficient {RESOURCE}. preemption: not eligible due to "
              "preemptionPolicy=Never.")
        arrives = self.claim("arrives", "high", 5)
        victim = until(lambda: "deletionTimestamp" in (pod := goes())["metadata"] and pod, 10, "the victim's deletion")
        target = self.condition(victim, "DisruptionTarget")
        self.assertEqual((target["status"], target["reason"]), ("True", "PreemptionByScheduler"))
        self.assertEqual(target["message"], "default-scheduler: preempting to accommodate a higher priority pod")
        pod = arrives()
        self.assertEqual(pod["status"]["nominatedNodeName"], self.node.name)
        self.assertNotIn("nodeName", pod["spec"])
        # There would be room for it, were it not promised.
        late = self.claim("late", "low", 1)
        until(lambda: self.condition(late(), "PodScheduled").get("reason") == "Unschedulable")
        self.node.kubectl("exec", "goes", "--", "touch", "/tmp/go")
        self.ready("arrives")
        self.assertNotIn("nominatedNodeName", arrives()["status"])
        self.ready("late")
        self.assertNotIn("nodeName", patient()["spec"])
        self.assertNotIn("deletionTimestamp", stays()["metadata"])
        preempted = until(lambda: self.events(victim, "Preempted"))[0]
        self.assertEqual(preempted["note"], f"Preempted by pod {pod['metadata']['uid']} on node {self.node.name}")
        self.assertEqual((preempted["action"], preempted["related"]["name"]), ("Preempting", "arrives"))
        scheduled = until(lambda: self.events(pod, "Scheduled"))[0]
        self.assertEqual(scheduled["note"], f"Successfully assigned default/arrives to {self.node.name}")
        self.assertEqual((scheduled["action"], scheduled["reportingController"]), ("Binding", "default-scheduler"))
        self.assertRegex(self.node.kubectl("describe", "pod", "arrives").stdout,
                         r"Normal +Scheduled +\S+ +default-scheduler +Successfully assigned")

    def test_a_critical_pod_gets_its_room(self):
        self.claim("goes", "low", 6)
        self.ready("goes")
        self.claim("vital", "system-cluster-critical", 6, namespace="kube-system")
        self.ready("vital", "kube-system")
        self.node.kubectl("wait", "--for=delete", "pod/goes", "--timeout=10s")

    def test_a_critical_pod_that_is_bound_already_gets_its_room(self):
        goes = self.claim("goes", "low", 6)
        self.ready("goes")
        self.claim("bound", "system-node-critical", 6, namespace="kube-system", nodeName=self.node.name)
        self.ready("bound", "kube-system")
        status = goes()["status"]
        self.assertEqual((status["phase"], status["reason"]), ("Failed", "Preempting"))
        self.assertEqual(self.condition(goes(), "DisruptionTarget")["reason"], "TerminationByKubelet")
        refused = self.claim("refused", "low", 6, nodeName=self.node.name)
        until(lambda: refused()["status"].get("reason") == f"OutOf{RESOURCE}")


if __name__ == "__main__":
    unittest.main()
