# SPDX-License-Identifier: Apache-2.0
"""Pods whose containers share their processes."""

import json
import os
import pathlib
import signal
import unittest

from node import IMAGE, NodeTestCase, until


def pauses():
    """The numbers of the processes on this machine that hold pods' processes."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == b"/pause\0":
                found.add(int(path.parent.name))
        except OSError:
            pass  # It has just ended.
    return found


class SharedProcessTests(NodeTestCase):
    def start_shared(self, name, first="sleep 111111", **container):
        before = pauses()
        pod = json.loads(self.pod(name, first, container=container, shareProcessNamespace=True))
        pod["spec"]["containers"].append(
            {"name": "d", "image": IMAGE, "command": ["sleep", "222222"], "imagePullPolicy": "IfNotPresent"})
        self.node.apply(json.dumps(pod))
        self.node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")
        (pause,) = pauses() - before
        return pause

    def execute(self, pod, script, container="c"):
        return self.node.kubectl("exec", pod, "-c", container, "--", "sh", "-c", script).stdout

    def end(self, pod, command):
        """Ends the process with that command line from the first container."""
        lines = self.execute(pod, "ps -o pid,args").splitlines()
        (number,) = [line.split()[0] for line in lines if line.split(None, 1)[1:] == [command]]
        self.execute(pod, f"kill {number}")

    def wait_for_the_kubelet(self, pod):
        answer = lambda: self.node.kubectl("exec", pod, "-c", "c", "--", "echo", "alive", check=False).stdout
        until(lambda: answer() == "alive\n", what="the kubelet's answer")

    def container(self, pod, name):
        statuses = self.node.json("get", "pod", pod)["status"]["containerStatuses"]
        return next(status for status in statuses if status["name"] == name)

    def restarted(self, pod, name, count):
        until(lambda: (s := self.container(pod, name))["restartCount"] == count and s["ready"], 40,
              f"restart {count} of {name}")

    def test_containers_see_each_other_and_survive_each_others_ends(self):
        pause = self.start_shared("together", securityContext={"capabilities": {"add": ["SYS_PTRACE"]}})
        listing = self.execute("together", "ps -o pid,args")
        self.assertRegex(listing, r"(?m)^ *1 /pause$")
        for command in ("sleep 111111", "sleep 222222"):
            self.assertIn(command, listing)
        # Nothing of the host is to be found by way of the first process.
        self.assertNotIn("home", self.execute("together", "ls /proc/1/root/").split())
        before = self.container("together", "c")["containerID"]
        self.end("together", "sleep 222222")
        self.restarted("together", "d", 1)
        self.assertIn("sleep 222222", self.execute("together", "ps -o pid,args"))
        self.assertEqual(self.container("together", "c")["containerID"], before)
        # An ephemeral container sees them all.
        self.node.kubectl("debug", "together", "--profile=general", f"--image={IMAGE}", "--target=c", "-c", "dbg", "--",
                          "sh", "-c", "ps -o args; sleep 100000")
        log = until(lambda: self.node.kubectl("logs", "together", "-c", "dbg", check=False).stdout)
        for command in ("/pause", "sleep 111111", "sleep 222222"):
            self.assertIn(command, log)
        self.node.kubectl("delete", "pod", "together", "--timeout=20s")
        until(lambda: pause not in pauses(), what="the end of the first process")

    def test_orphans_are_reaped(self):
        self.start_shared("orphaning")
        self.execute("orphaning", "(sleep 0.2 & sleep 0.3 &) ; sleep 0.8")
        listing = self.execute("orphaning", "ps -o stat,args")
        self.assertNotRegex(listing, r"(?m)^Z")
        self.assertNotIn("sleep 0.", listing)
        # Signals from inside do not end the first process.
        self.execute("orphaning", "kill 1; kill -9 1; sleep 0.2")
        self.assertEqual(self.container("orphaning", "d")["restartCount"], 0)

    def test_restarts_of_the_agent_power_cuts_and_a_killed_first_process(self):
        pause = self.start_shared("lasting")
        self.node.stop(signal.SIGKILL)
        self.node.start()
        self.wait_for_the_kubelet("lasting")
        self.assertIn("sleep 222222", self.execute("lasting", "ps -o args"))
        self.end("lasting", "sleep 222222")
        self.restarted("lasting", "d", 1)
        self.assertIn(pause, pauses())
        self.assertIn("sleep 222222", self.execute("lasting", "ps -o args"))
        os.kill(pause, signal.SIGKILL)
        self.restarted("lasting", "c", 1)
        self.restarted("lasting", "d", 2)
        listing = self.execute("lasting", "ps -o args")
        for command in ("/pause", "sleep 111111", "sleep 222222"):
            self.assertIn(command, listing)
        self.node.cut_power()
        self.node.start()
        self.restarted("lasting", "c", 2)
        self.restarted("lasting", "d", 3)
        listing = self.execute("lasting", "ps -o args")
        for command in ("/pause", "sleep 111111", "sleep 222222"):
            self.assertIn(command, listing)
        before = pauses()
        self.node.kubectl("delete", "pod", "lasting", "--timeout=20s")
        until(lambda: pauses() < before, what="the end of the first process")


if __name__ == "__main__":
    unittest.main()
