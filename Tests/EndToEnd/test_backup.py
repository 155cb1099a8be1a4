# SPDX-License-Identifier: Apache-2.0
"""Checks, status, and a backup that is restored onto a fresh node."""

import json
import unittest

from node import Node, NodeTestCase, run


class BackupTests(NodeTestCase):
    def backup(self, name):
        file = self.node.directory / name
        self.node.swiftlet("backup", file)
        return file

    def test_restore_onto_a_fresh_node(self):
        self.node.kubectl("create", "configmap", "kept", "--from-literal=a=1")
        self.node.kubectl("create", "secret", "generic", "hidden", "--from-literal=b=2")
        uid = self.node.json("get", "configmap", "kept")["metadata"]["uid"]
        revision = int(self.node.json("get", "configmap", "kept")["metadata"]["resourceVersion"])
        file = self.backup("cluster.tar.gz")
        self.assertEqual(file.stat().st_mode & 0o777, 0o600)
        self.assertEqual([entry.name for entry in self.node.directory.iterdir() if "unfinished" in entry.name], [])
        self.node.kubectl("delete", "configmap", "kept")

        fresh = Node()
        self.addCleanup(fresh.remove)
        outcome = json.loads(fresh.swiftlet("restore", file, "-o", "json").stdout)
        self.assertGreater(outcome["objects"], 0)
        self.assertEqual(outcome["manifest"]["node"], self.node.name)
        fresh.start()
        kept = fresh.json("get", "configmap", "kept")
        self.assertEqual((kept["metadata"]["uid"], kept["data"]), (uid, {"a": "1"}))
        self.assertEqual(fresh.json("get", "secret", "hidden")["data"], {"b": "Mg=="})
        # No client takes a new revision for one that it saw before.
        fresh.kubectl("create", "configmap", "later")
        self.assertGreater(int(fresh.json("get", "configmap", "later")["metadata"]["resourceVersion"]), revision + 1_000_000_000)

        refused = fresh.swiftlet("restore", file, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("stop it first", refused.stderr)
        fresh.stop()
        refused = fresh.swiftlet("restore", file, check=False)
        self.assertIn("--force", refused.stderr)
        again = json.loads(fresh.swiftlet("restore", file, "--force", "-o", "json").stdout)
        self.assertIn("before-restore", again["movedAside"])
        fresh.start()
        self.assertEqual(fresh.json("get", "configmap", "kept")["metadata"]["uid"], uid)

    def test_a_disk_of_its_own_stays_where_it_is(self):
        self.node.kubectl("create", "configmap", "on-disk")
        file = self.backup("disk.tar.gz")
        node = Node()
        self.addCleanup(node.remove)
        state = node.directory / "state"
        for directory, option in ((state, "size=256m"), (state / "lost+found", None)):
            directory.mkdir()
            if option:
                run("mount", "-t", "tmpfs", "-o", option, "tmpfs", directory)
                self.addCleanup(run, "umount", "-R", directory, check=False)
        device = state.stat().st_dev

        def there():
            self.assertEqual(state.stat().st_dev, device)
            return {p.name for p in state.iterdir()}

        # What mkfs made is no state.
        node.swiftlet("restore", file)
        self.assertEqual(there(), {"lost+found", "pki", "store"})
        node.start()
        self.assertEqual(node.kubectl("get", "configmap", "on-disk", "-o", "name").stdout, "configmap/on-disk\n")
        node.import_test_image()
        node.apply(self.pod("busy", nodeName=node.name))
        node.kubectl("wait", "--for=condition=Ready", "pod/busy", "--timeout=30s")
        node.stop()
        node.reset("--keep-data")
        self.assertLess({"lost+found", "pki", "store", "images"}, there())
        self.assertEqual(run("sh", "-c", f"grep -c ' {state}/' /proc/self/mountinfo", check=False).stdout, "0\n")
        authority = (state / "pki/ca.key").read_text()
        (state / "pki/ca.key").write_text("another")
        again = json.loads(node.swiftlet("restore", file, "--force", "-o", "json").stdout)
        aside = state / again["movedAside"].split("/")[-1]
        self.assertEqual(there(), {"lost+found", "pki", "store", aside.name})
        self.assertEqual((aside / "pki/ca.key").read_text(), "another")
        self.assertEqual((state / "pki/ca.key").read_text(), authority)
        # One that was broken off: the agent does the rest.
        (state / ".restoring-new-comes/new").mkdir(parents=True)
        (state / "store").rename(state / ".restoring-new-comes/new/store")
        node.start()
        self.assertEqual(node.kubectl("get", "configmap", "on-disk", "-o", "name").stdout, "configmap/on-disk\n")
        node.stop()
        # Somebody else's disk is not taken away, nor what is on it.
        (state / "images/mine").mkdir(parents=True)
        run("mount", "-t", "tmpfs", "tmpfs", state / "images/mine")
        (state / "images/mine/file").write_text("mine")
        refused = node.reset(check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(f"{state}/images/mine", refused.stderr)
        self.assertEqual((state / "images/mine/file").read_text(), "mine")
        self.assertTrue((state / "pki/ca.key").exists())
        run("umount", state / "images/mine")
        self.assertIn("nothing is left", node.reset().stdout)
        self.assertEqual(there(), {"lost+found"})

    def test_damaged_backups_change_nothing(self):
        file = self.backup("whole.tar.gz")
        fresh = Node()
        self.addCleanup(fresh.remove)
        state = fresh.directory / "state"
        cases = {"cut.tar.gz": file.read_bytes()[:-2000], "no.tar.gz": b"nothing of the kind"}
        for name, content in cases.items():
            (fresh.directory / name).write_bytes(content)
        work = fresh.directory / "work"
        work.mkdir()
        run("tar", "-xzf", file, "-C", work)
        (work / "pki" / "ca.crt").write_text("another one")
        run("tar", "-czf", fresh.directory / "changed.tar.gz", "-C", work, ".")
        (work / "manifest.json").unlink()
        run("tar", "-czf", fresh.directory / "unlisted.tar.gz", "-C", work, ".")
        for name in [*cases, "changed.tar.gz", "unlisted.tar.gz"]:
            with self.subTest(name):
                result = fresh.swiftlet("restore", fresh.directory / name, check=False)
                self.assertNotEqual(result.returncode, 0)
                self.assertIn(name, result.stderr)
                self.assertFalse(state.exists())
                self.assertEqual([p for p in fresh.directory.iterdir() if "restoring" in p.name], [])

    def test_check_and_status(self):
        checks = json.loads(self.node.swiftlet("check", "-o", "json").stdout)
        self.assertFalse([f for f in checks["findings"] if f["severity"] == "error"])
        for finding in checks["findings"]:
            self.assertTrue(finding["severity"] in ("ok", "info") or finding["remedy"], finding)
        warnings = {f["id"] for f in checks["findings"] if f["severity"] == "warning"}
        conditions = {c["type"]: c for c in self.node.json("get", "node", self.node.name)["status"]["conditions"]}
        self.assertEqual(conditions["HostProblem"]["status"], "True" if warnings else "False")
        status = json.loads(self.node.swiftlet("status", "-o", "json").stdout)
        self.assertTrue(status["node"]["ready"])
        self.assertEqual(status["node"]["roles"], ["control-plane", "worker"])
        self.assertGreater(status["datastore"]["bytes"], 0)
        self.assertIn("apiserver", {c["name"] for c in status["certificates"]})
        agent = next(c for c in status["components"] if c["name"] == "agent")
        self.assertGreater(agent["memoryBytes"], 1_000_000)
        self.assertGreater(agent["writtenBytes"], 0)
        self.assertIn("notAfter", self.node.swiftlet("status", "-o", "yaml").stdout)
        self.assertIn("COMPONENT", self.node.swiftlet("status").stdout)


if __name__ == "__main__":
    unittest.main()
