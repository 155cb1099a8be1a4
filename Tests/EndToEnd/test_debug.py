# SPDX-License-Identifier: Apache-2.0
"""Ephemeral containers: what is put into a running pod to debug it."""

import json
import os
import pty
import signal
import subprocess
import unittest

from node import IMAGE, NodeTestCase, until


class DebugTests(NodeTestCase):
    def debug(self, pod, name, *command, target="c", check=True, **options):
        return self.node.kubectl(
            "debug", pod, "--profile=general", f"--image={IMAGE}", f"--target={target}", "-c", name, "--", *command,
            check=check, **options)

    def state(self, pod, name):
        """What an ephemeral container's status says of its state; empty while there is none."""
        statuses = self.node.json("get", "pod", pod)["status"].get("ephemeralContainerStatuses", [])
        return next((status["state"] for status in statuses if status["name"] == name), {})

    def events(self, pod, path):
        items = self.node.json("get", "events", f"--field-selector=involvedObject.name={pod}")["items"]
        return {event["reason"] for event in items if event["involvedObject"].get("fieldPath") == path}

    @staticmethod
    def read_all(terminal):
        """What was written to a terminal that nobody has open any longer."""
        text = b""
        while True:
            try:
                text += os.read(terminal, 1 << 16)
            except OSError:  # EIO is its end.
                return text

    def test_runs_beside_its_target_and_sees_its_processes(self):
        self.start_pod("debugged", "sleep 987654")
        self.debug("debugged", "dbg", "sh", "-c", "ps; hostname; echo ready; sleep 100000")
        until(lambda: "running" in self.state("debugged", "dbg"), what="the debugger's start")
        until(lambda: "ready" in self.node.kubectl("logs", "debugged", "-c", "dbg").stdout)
        log = self.node.kubectl("logs", "debugged", "-c", "dbg").stdout
        self.assertIn("sleep 987654", log)
        self.assertIn("\ndebugged\n", log)
        self.assertEqual(self.node.kubectl("exec", "debugged", "-c", "dbg", "--", "echo", "in it").stdout, "in it\n")
        until(lambda: {"Pulled", "Created", "Started"} <= self.events("debugged", "spec.ephemeralContainers{dbg}"))
        pod = self.node.json("get", "pod", "debugged")
        status = pod["status"]["ephemeralContainerStatuses"][0]
        self.assertEqual((status["ready"], status["restartCount"]), (False, 0))
        self.assertNotIn("started", status)
        self.assertEqual(self.node.kubectl("get", "pod", "debugged").stdout.split()[5:8], ["debugged", "1/1", "Running"])
        self.node.kubectl("delete", "pod", "debugged", "--timeout=20s")
        until(lambda: "Killing" in self.events("debugged", "spec.ephemeralContainers{dbg}"))

    def test_ends_once(self):
        self.start_pod("once")
        patch = {"spec": {"ephemeralContainers": [
            {"name": "d", "image": IMAGE, "command": ["sh", "-c", "echo why > /dev/termination-log; exit 4"]}]}}
        self.node.kubectl("patch", "pod", "once", "--subresource=ephemeralcontainers", "--type=strategic", "-p",
                          json.dumps(patch))
        ended = until(lambda: self.state("once", "d").get("terminated"), what="the debugger's end")
        self.assertEqual((ended["exitCode"], ended["reason"], ended["message"]), (4, "Error", "why\n"))
        self.assertTrue(self.node.json("get", "pod", "once")["status"]["containerStatuses"][0]["ready"])

    def test_interactive(self):
        self.start_pod("talked-to")
        result = self.node.kubectl(
            "debug", "-i", "talked-to", "--profile=general", f"--image={IMAGE}", "-c", "asked", "--", "sh",
            input="echo sum $((20+22))\nexit\n", timeout=30)
        self.assertIn("sum 42", result.stdout)
        until(lambda: self.state("talked-to", "asked").get("terminated", {}).get("exitCode") == 0)

    def test_interactive_with_a_terminal(self):
        self.start_pod("typed-to")
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*self.node.enter, "kubectl", "--kubeconfig", str(self.node.kubeconfig), "debug", "-it", "typed-to",
             "--profile=general", f"--image={IMAGE}", "-c", "typed", "--target=c", "--", "sh"],
            stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        try:
            until(lambda: "running" in self.state("typed-to", "typed"), what="the debugger's start")
            os.write(ours, b"tty && echo sum $((20+22))\nexit\n")
            self.assertEqual(process.wait(30), 0)
            self.assertIn(b"sum 42", self.read_all(ours))
        finally:
            process.kill()
            process.wait()
            os.close(ours)

    def test_starts_while_an_init_container_runs(self):
        init = [{"name": "i", "image": IMAGE, "command": ["sleep", "100000"]}]
        self.node.apply(self.pod("beginning", initContainers=init))
        until(lambda: "running" in self.node.json("get", "pod", "beginning")["status"]
              .get("initContainerStatuses", [{}])[0].get("state", {}))
        self.debug("beginning", "dbg", "sleep", "100000", target="i")
        until(lambda: "running" in self.state("beginning", "dbg"), what="the debugger's start")
        self.assertEqual(self.node.json("get", "pod", "beginning")["status"]["phase"], "Pending")

    def test_a_target_that_has_not_started_is_told(self):
        init = [{"name": "i", "image": IMAGE, "command": ["sleep", "100000"]}]
        self.node.apply(self.pod("waiting", initContainers=init))
        until(lambda: self.node.json("get", "pod", "waiting")["status"].get("initContainerStatuses"))
        self.debug("waiting", "dbg", "sleep", "1", target="c")
        until(lambda: self.state("waiting", "dbg").get("waiting", {}).get("reason") == "CreateContainerConfigError")
        self.assertEqual(self.state("waiting", "dbg")["waiting"]["message"], "unable to find target container c")

    def test_goes_on_over_a_restart_of_the_agent_and_not_over_a_power_cut(self):
        self.start_pod("kept")
        self.debug("kept", "dbg", "sleep", "100000")
        until(lambda: "running" in self.state("kept", "dbg"), what="the debugger's start")
        identity = lambda: self.node.json("get", "pod", "kept")["status"]["ephemeralContainerStatuses"][0]["containerID"]
        before = identity()
        self.node.stop(signal.SIGKILL)
        self.node.start()
        alive = lambda: self.node.kubectl("exec", "kept", "-c", "dbg", "--", "echo", "alive", check=False).stdout
        until(lambda: alive() == "alive\n", what="the kubelet's answer")
        self.assertEqual(identity(), before)
        self.node.cut_power()
        self.node.start()
        until(lambda: (s := self.node.json("get", "pod", "kept")["status"]["containerStatuses"][0])["ready"]
              and s["restartCount"] == 1, 30, "the pod's return")
        self.assertIn("terminated", self.state("kept", "dbg"))

    def test_ends_with_the_pod(self):
        self.node.apply(self.pod("short", "sleep 5", restartPolicy="Never"))
        until(lambda: self.node.json("get", "pod", "short")["status"]["phase"] == "Running")
        self.debug("short", "dbg", "sleep", "100000")
        until(lambda: self.state("short", "dbg"))
        until(lambda: self.node.json("get", "pod", "short")["status"]["phase"] == "Succeeded")
        self.assertIn("terminated", self.state("short", "dbg"))


if __name__ == "__main__":
    unittest.main()
