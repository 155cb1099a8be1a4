# SPDX-License-Identifier: Apache-2.0
"""The machine goes down: pods end in order before it does, as far as a login manager asks for that."""

import json
import unittest

from login_manager import BUS_DAEMON, SystemBus
from node import IMAGE, Node, NodeTestCase, until

CRITICAL = {"priorityClassName": "system-node-critical"}


def condition(thing, kind):
    return next((entry for entry in thing["status"].get("conditions", []) if entry["type"] == kind), {})


@unittest.skipUnless(BUS_DAEMON, "dbus-daemon is not installed")
class ShutdownTestCase(NodeTestCase):
    """Tests of a node, started by each, with a bus and a login manager of its own."""

    def setUp(self):
        self.bus = SystemBus().start()
        self.addCleanup(self.bus.end)
        self.node = Node()
        self.addCleanup(self.node.remove)
        self.node.environment = {"DBUS_SYSTEM_BUS_ADDRESS": self.bus.address}
        super().setUp()

    def ready(self):
        return condition(self.node.json("get", "node", self.node.name), "Ready")

    def pod_of(self, *selection):
        return self.node.json("get", "pods", *selection)

    def ending_pod(self, name, seconds, **spec):
        """A pod that takes so long to end."""
        return self.pod(name, f"trap 'sleep {seconds}; exit 0' TERM; while true; do sleep 0.1; done",
                        terminationGracePeriodSeconds=15, **spec)

    def finished(self, name):
        status = self.node.json("get", "pod", name)["status"]["containerStatuses"][0]
        return status["state"]["terminated"]["finishedAt"]

    def deploy(self):
        self.node.apply(json.dumps({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                    {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "100000"]}]}}}}))
        self.node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")


class ShutdownTests(ShutdownTestCase):
    def test_pods_end_in_order_and_come_back_if_it_is_cancelled(self):
        self.bus.start_manager()
        self.node.start()
        self.node.import_test_image()
        until(lambda: self.bus.locks() == 1, 10, "the lock")
        self.node.apply(self.ending_pod("ordinary", 2))
        self.node.apply(self.ending_pod("critical", 0, **CRITICAL))
        self.node.kubectl("wait", "--for=condition=Ready", "pod/ordinary", "pod/critical", "--timeout=60s")
        self.deploy()
        self.bus.tell("shutdown")
        until(lambda: self.ready()["status"] == "False", 10, "the node's condition")
        self.assertEqual((self.ready()["reason"], self.ready()["message"]), ("KubeletNotReady", "node is shutting down"))
        # Also one that no scheduler places.
        self.node.apply(self.pod("late", nodeName=self.node.name))
        late = until(lambda: (pod := self.node.json("get", "pod", "late"))["status"].get("reason") and pod, 10, "refusal")
        self.assertEqual(
            (late["status"]["phase"], late["status"]["reason"], late["status"]["message"]),
            ("Failed", "NodeShutdown", "Pod was rejected: Pod was rejected as the node is shutting down."))
        until(lambda: self.bus.locks() == 0, 30, "the end of the lock")

        # What a controller replaces has failed, and the replacement waits.
        pods = self.pod_of("-l", "app=web")["items"]
        ended = [pod for pod in pods if pod["status"]["phase"] == "Failed"]
        self.assertEqual([(pod["status"]["reason"], pod["status"]["message"]) for pod in ended],
                         [("Terminated", "Pod was terminated in response to imminent node shutdown.")])
        self.assertEqual(condition(ended[0], "DisruptionTarget")["reason"], "TerminationByKubelet")
        waiting = until(lambda: [pod for pod in self.pod_of("-l", "app=web")["items"] if pod["status"]["phase"] == "Pending"],
                        10, "the replacement")
        self.assertEqual(condition(waiting[0], "PodScheduled").get("status"), "False")
        # What nobody replaces has only stopped, the critical one last.
        self.assertLessEqual(self.finished("ordinary"), self.finished("critical"))
        for name in ("ordinary", "critical"):
            pod = self.node.json("get", "pod", name)
            self.assertEqual((pod["status"]["phase"], pod["status"].get("reason")), ("Running", None))
            self.assertEqual(condition(pod, "Ready")["status"], "False")

        self.bus.tell("cancel")
        until(lambda: self.bus.locks() == 1, 10, "the lock again")
        until(lambda: self.ready()["status"] == "True", 10, "the node")
        self.node.kubectl("wait", "--for=condition=Ready", "pod/ordinary", "pod/critical", "--timeout=60s")
        self.node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")
        events = [event["message"] for event in self.node.json("get", "events")["items"] if event["reason"] == "NodeShutdown"]
        self.assertIn("Shutdown manager detected shutdown event", events)
        self.assertIn("Shutdown manager detected shutdown cancellation", events)

    def test_what_ended_starts_again_after_the_boot(self):
        self.bus.start_manager()
        self.node.start()
        self.node.import_test_image()
        self.node.apply(self.pod("bare"))
        self.node.kubectl("wait", "--for=condition=Ready", "pod/bare", "--timeout=60s")
        self.deploy()
        until(lambda: self.bus.locks() == 1, 10, "the lock")
        self.bus.tell("shutdown")
        until(lambda: self.bus.locks() == 0, 30, "the end of the lock")
        self.node.cut_power()
        self.bus.end_manager()
        self.bus.start_manager()
        self.node.start()
        self.node.kubectl("wait", "--for=condition=Ready", "pod/bare", "--timeout=60s")
        self.assertEqual(self.node.json("get", "pod", "bare")["status"]["containerStatuses"][0]["restartCount"], 1)
        self.node.kubectl("rollout", "status", "deployment/web", "--timeout=60s")

    def test_the_lock_is_taken_again_from_a_new_login_manager(self):
        self.node.start()
        self.assertEqual(self.node.log.read_text().count("Nothing holds the machine's shutdown up for pods"), 1)
        self.bus.start_manager(5)
        until(lambda: self.bus.locks() == 1, 10, "the lock")
        until(lambda: "less time to end than kubelet.shutdownGracePeriod" in self.node.log.read_text(), 10, "the warning")
        self.bus.end_manager()
        self.bus.start_manager()
        until(lambda: self.bus.locks() == 1, 10, "the lock of the new one")
        self.node.stop()
        until(lambda: self.bus.locks() == 0, 10, "the lock's end with the agent")

    def test_without_a_bus_it_says_so_once(self):
        self.node.environment = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
        self.node.start()
        text = until(lambda: "there is no system bus" in (log := self.node.log.read_text()) and log, 10, "the notice")
        self.assertEqual(text.count("Nothing holds the machine's shutdown up"), 1)


if __name__ == "__main__":
    unittest.main()
