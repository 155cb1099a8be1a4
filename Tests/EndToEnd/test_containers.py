# SPDX-License-Identifier: Apache-2.0
"""How containers begin, are asked how they are, and end."""

import unittest

from node import NodeTestCase, until

SERVER = "mkdir -p /tmp/w; echo fine > /tmp/w/healthz; exec httpd -f -p 8080 -h /tmp/w"
# Answers each request with a redirect to the first argument.
REDIRECT = 'while :; do printf "HTTP/1.1 302 Found\\r\\nLocation: {}\\r\\nConnection: close\\r\\n\\r\\n" | ' \
           "nc -l -p 8081 >/dev/null; done & "


class ContainerTests(NodeTestCase):
    def status(self, name):
        return self.node.json("get", "pod", name)["status"]

    def container(self, name):
        """The status of the pod's container; empty until there is one."""
        return self.status(name).get("containerStatuses", [{}])[0]

    def events(self, name):
        """Reason -> how often."""
        counts = {}
        for event in self.node.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]:
            counts[event["reason"]] = counts.get(event["reason"], 0) + event.get("count", 1)
        return counts

    def messages(self, name):
        return self.node.kubectl("get", "events", "--field-selector", f"involvedObject.name={name}", "-o",
                                 "jsonpath={.items[*].message}").stdout

    def remove_afterwards(self, *names):
        self.addCleanup(self.node.kubectl, "delete", "pod", *names, "--force", "--grace-period=0", check=False)

    def test_a_program_that_cannot_be_run_has_ended(self):
        for name, container in (("nothing", {"command": ["/nonexistent"]}), ("nowhere", {"workingDir": "/etc/passwd"})):
            with self.subTest(name):
                self.remove_afterwards(name)
                self.node.apply(self.pod(name, restartPolicy="Never", container=container))
                until(lambda: self.status(name)["phase"] == "Failed", 30, "the pod's end")
                ended = self.container(name)["state"]["terminated"]
                self.assertEqual((ended["exitCode"], ended["reason"]), (128, "StartError"))
                self.assertEqual(self.events(name).get("Created"), 1)

    def test_one_that_is_to_run_always_is_tried_again(self):
        self.remove_afterwards("again")
        self.node.apply(self.pod("again", container={"command": ["/nonexistent"]}))
        until(lambda: self.container("again").get("restartCount", 0) >= 1, 30, "a restart")
        until(lambda: self.container("again")["state"].get("waiting", {}).get("reason") ==
              "CrashLoopBackOff", 30, "the back-off")

    def test_hooks_run_once_however_many_pods_end_together(self):
        names = [f"hooked{number}" for number in range(5)]
        self.remove_afterwards(*names)
        directory = self.node.directory / "hooks"
        directory.mkdir()
        volume = {"name": "v", "hostPath": {"path": str(directory)}}
        for name in names:
            hook = {"preStop": {"exec": {"command": ["sh", "-c", f"echo {name} >> /hooks/{name}"]}}}
            self.node.apply(self.pod(name, volumes=[volume], terminationGracePeriodSeconds=5, container={
                "lifecycle": hook, "volumeMounts": [{"name": "v", "mountPath": "/hooks"}]}))
        for name in names:
            self.node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
        self.node.kubectl("delete", "pod", *names, "--timeout=60s")
        for name in names:
            self.assertEqual((directory / name).read_text(), f"{name}\n")
            self.assertEqual(self.events(name)["Killing"], 1, name)

    def test_conditions_say_nothing_of_what_is_over(self):
        self.remove_afterwards("settled")
        self.start_pod("settled", SERVER, container={
            "readinessProbe": {"httpGet": {"port": 8080, "path": "/healthz"}, "initialDelaySeconds": 2}})
        for condition in self.status("settled")["conditions"]:
            self.assertEqual(condition["status"], "True")
            self.assertFalse({"reason", "message"} & condition.keys(), condition)

    def test_quick_servers_are_not_taken_for_broken_ones(self):
        self.remove_afterwards("quick")
        probe = {"httpGet": {"port": 8080, "path": "/healthz"}, "periodSeconds": 1, "failureThreshold": 1}
        self.start_pod("quick", SERVER, container={"livenessProbe": probe, "readinessProbe": probe,
                                                   "startupProbe": {**probe, "failureThreshold": 30}})
        # Twenty requests, of which each may meet the connection's end.
        self.node.kubectl("wait", "--for=jsonpath={.status.containerStatuses[0].restartCount}=1", "pod/quick",
                          "--timeout=10s", check=False)
        self.assertEqual(self.container("quick")["restartCount"], 0)

    def test_redirects_to_the_same_host_are_followed(self):
        self.remove_afterwards("lost", "elsewhere")
        # Between two connections nobody listens, which fails a probe now and then.
        probe = {"httpGet": {"port": 8081, "path": "/"}, "periodSeconds": 1, "failureThreshold": 100,
                 "initialDelaySeconds": 1}
        # That path is not there.
        self.node.apply(self.pod("lost", REDIRECT.format("http://$(hostname -i):8080/bad") + SERVER,
                                 container={"livenessProbe": probe}))
        until(lambda: "statuscode: 404" in self.messages("lost"), 60, "the answer of the other path")
        # Nobody asks another host.
        self.node.apply(self.pod("elsewhere", REDIRECT.format("http://192.0.2.1/") + SERVER,
                                 container={"livenessProbe": probe}))
        until(lambda: self.events("elsewhere").get("ProbeWarning"), 60, "a warning")
        self.assertIn("Probe terminated redirects", self.messages("elsewhere"))


if __name__ == "__main__":
    unittest.main()
