# SPDX-License-Identifier: Apache-2.0
"""What stands in the journal, asked of a real journald with journalctl."""

import json
import unittest

from journal import JOURNALD, Journal
from node import Node, NodeTestCase, until


@unittest.skipUnless(JOURNALD.exists(), "systemd is not installed")
class JournalTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        cls.journal = Journal()
        cls.addClassCleanup(cls.journal.end)
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        cls.node.journal = cls.journal
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
