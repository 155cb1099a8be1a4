# SPDX-License-Identifier: Apache-2.0
"""Restarts, crashes and power cuts: what must survive them."""

import signal
import unittest

from node import NodeTestCase, run, until


class LifeTests(NodeTestCase):
    def container(self, name):
        return self.node.json("get", "pod", name)["status"]["containerStatuses"][0]

    def test_containers_survive_the_agent(self):
        self.start_pod("survivor", "while true; do date +%s; sleep 0.2; done")
        before = self.container("survivor")
        for how in (signal.SIGTERM, signal.SIGKILL):
            self.node.stop(how)
            self.node.start()
            until(lambda: self.container("survivor")["ready"], 10, "readiness after the restart")
            after = self.container("survivor")
            self.assertEqual(after["containerID"], before["containerID"])
            self.assertEqual(after["restartCount"], 0)
            self.assertEqual(self.node.kubectl("exec", "survivor", "--", "echo", "alive").stdout, "alive\n")
        self.assertTrue(self.node.kubectl("logs", "survivor", "--tail=3").stdout)

    def test_exit_codes_are_not_lost_while_the_agent_is_away(self):
        self.node.apply(self.pod("leaving", "sleep 2; echo bye; exit 5", restartPolicy="Never"))
        until(lambda: self.node.json("get", "pod", "leaving")["status"]["phase"] == "Running")
        self.node.stop(signal.SIGKILL)
        import time
        time.sleep(2.5)
        self.node.start()
        until(lambda: self.node.json("get", "pod", "leaving")["status"]["phase"] == "Failed")
        self.assertEqual(self.container("leaving")["state"]["terminated"]["exitCode"], 5)
        self.assertEqual(self.node.kubectl("logs", "leaving").stdout, "bye\n")

    def test_power_cut(self):
        self.start_pod("lasting")
        self.node.kubectl("create", "configmap", "written", "--from-literal=a=1")
        self.node.cut_power()
        self.node.start()
        self.assertEqual(self.node.json("get", "configmap", "written")["data"], {"a": "1"})
        until(lambda: self.container("lasting")["ready"] and self.container("lasting")["restartCount"] == 1, 30,
              "the pod's return")

    def test_second_agent_is_refused(self):
        result = self.node.swiftlet("run", check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertRegex(result.stderr, "in use|another|already|locked")


if __name__ == "__main__":
    unittest.main()
