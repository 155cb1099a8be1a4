# SPDX-License-Identifier: Apache-2.0
"""What stands in the journal, asked of a real journald with journalctl."""

import json
import unittest

from journal import JournalTestCase
from node import until


class JournalTests(JournalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.start()
        cls.node.import_test_image()

    def show_log_of_failure(self, node=None):
        if self._outcome is not None and not self._outcome.success:
            for entry in self.journal.entries("SYSLOG_IDENTIFIER=swiftlet")[-40:]:
                print(entry.get("PRIORITY"), entry.get("MESSAGE"))

    def test_entries_of_a_pod_are_found_by_its_fields(self):
        for name in ("broken", "broken-too"):
            self.node.apply(self.pod(name, "exit 3"))
        entries = until(lambda: len(found := self.journal.entries(
            "SWIFTLET_POD=broken", "SWIFTLET_NAMESPACE=default")) >= 3 and found, 30, "the pod's entries")
        self.assertFalse([entry for entry in entries if entry["SWIFTLET_POD"] != "broken"])
        ended = [entry for entry in entries if entry["MESSAGE"].startswith("A container ended")][0]
        status = self.node.json("get", "pod", "broken")["status"]["containerStatuses"][0]
        for field, value in {
            "PRIORITY": "6", "SWIFTLET_NAMESPACE": "default", "SWIFTLET_CONTAINER": "c", "SWIFTLET_EXIT_CODE": "3",
            "SWIFTLET_REASON": "Error", "SWIFTLET_COMPONENT": "pod-runtime", "SWIFTLET_NODE": self.node.name,
            "SYSLOG_IDENTIFIER": "swiftlet",
        }.items():
            self.assertEqual(ended.get(field), value, field)
        self.assertTrue(ended["SWIFTLET_CONTAINER_ID"])
        # What every entry has alike is not in the text.
        self.assertNotIn(self.node.name, ended["MESSAGE"])
        warnings = until(lambda: self.journal.entries(
            "SWIFTLET_POD=broken", "SWIFTLET_NAMESPACE=default", "SWIFTLET_REASON=BackOff"), 30, "the back-off")
        self.assertEqual(warnings[0]["PRIORITY"], "4")
        self.assertEqual(warnings[0]["SWIFTLET_COMPONENT"], "kubelet")
        self.assertEqual(status["name"], "c")

    def test_errors_are_fields(self):
        self.node.apply(self.pod("unknown-image", container={"image": "127.0.0.1:1/nothing:1"}))
        entry = until(lambda: self.journal.entries(
            "SWIFTLET_POD=unknown-image", "SWIFTLET_NAMESPACE=default", "PRIORITY=4"), 30, "the warning")[0]
        self.assertEqual(entry["SWIFTLET_REASON"], "Failed")

    def output_of(self, pod):
        return self.journal.entries(f"SWIFTLET_POD={pod}", "SWIFTLET_NAMESPACE=default", "SWIFTLET_COMPONENT=container")

    def with_annotation(self, name, value, command):
        pod = json.loads(self.pod(name, command, restartPolicy="Never"))
        pod["metadata"]["annotations"] = {"swiftlet.io/log-to-journal": value}
        self.node.apply(json.dumps(pod))

    def test_output_of_containers(self):
        # The shell's quotes: a line with a long text, one without an end, and more than the journal is to take.
        self.with_annotation("talker", "true", "echo hello; echo bad >&2; head -c 40000 /dev/zero | tr '\\0' x; echo; "
                             "sleep 1; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; printf end")
        self.finished("talker")
        entries = self.output_of("talker")
        hello = entries[0]
        for field, value in {
            "MESSAGE": "hello", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "talker/c", "SWIFTLET_STREAM": "stdout",
            "SWIFTLET_CONTAINER": "c", "SWIFTLET_NODE": self.node.name, "_COMM": "swiftlet-monito",
        }.items():
            self.assertEqual(hello.get(field), value, field)
        self.assertEqual([entry["MESSAGE"] for entry in entries if entry["PRIORITY"] == "3"], ["bad"])
        long = [entry for entry in entries if entry["MESSAGE"].startswith("x")]
        self.assertEqual([len(entry["MESSAGE"]) for entry in long], [16384, 16384, 40000 - 2 * 16384])
        self.assertEqual([entry.get("SWIFTLET_PARTIAL") for entry in long], ["1", "1", None])
        told = [int(entry["SWIFTLET_MISSING"]) for entry in entries if entry["PRIORITY"] == "4"]
        self.assertTrue(told)
        self.assertEqual(len(entries) - len(told) + sum(told), 2 + 3 + 2000 + 1)
        logs = self.node.kubectl("logs", "talker").stdout
        self.assertEqual(logs.count("\n"), 2 + 1 + 2000)
        self.assertTrue(logs.endswith("1999\nend"))

    def finished(self, pod):
        until(lambda: self.node.json("get", "pod", pod)["status"].get("phase") == "Succeeded", 30, f"the end of {pod}")

    def test_output_stays_out_unless_wanted(self):
        for name, value in (("silent", "false"), ("mistaken", "yes")):
            self.with_annotation(name, value, "echo hello")
        self.finished("silent")
        self.assertEqual(self.node.kubectl("logs", "silent").stdout, "hello\n")
        self.assertEqual(self.output_of("silent"), [])
        waiting = until(lambda: self.node.kubectl(
            "get", "pod", "mistaken", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.message}").stdout, 30,
            "the refusal")
        self.assertIn('swiftlet.io/log-to-journal is "yes" and must be', waiting)

    def test_output_survives_the_agent(self):
        self.with_annotation("lasting", "true", "i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); sleep 0.1; done")
        until(lambda: self.output_of("lasting"), 30, "output")
        self.node.stop()
        seen = len(self.output_of("lasting"))
        until(lambda: len(self.output_of("lasting")) > seen + 5, 20, "output without the agent")
        self.node.start()
        self.node.kubectl("delete", "pod", "lasting", "--grace-period=1")

    def test_logs_command_selects(self):
        self.node.apply(self.pod("seen", "exit 0", restartPolicy="Never"))
        until(lambda: self.journal.entries("SWIFTLET_POD=seen", "SWIFTLET_NAMESPACE=default"), 30, "entries")
        logs = (self.node.binaries / "swiftlet", "logs")
        entries = [json.loads(line) for line in self.node.execute(
            *logs, "--pod", "seen", "-o", "json").stdout.splitlines()]
        self.assertEqual({entry["SWIFTLET_POD"] for entry in entries}, {"seen"})
        everything = self.node.execute(*logs, "--lines", "1000").stdout
        self.assertIn("The agent is running", everything)
        self.assertIn("A container started", everything)
        refused = self.node.execute(*logs, "--pod", "a/b/c", check=False)
        self.assertEqual(refused.returncode, 64)
        self.assertIn("--pod", refused.stderr)


if __name__ == "__main__":
    unittest.main()
