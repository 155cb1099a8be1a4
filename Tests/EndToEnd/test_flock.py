# SPDX-License-Identifier: Apache-2.0
"""Clusters of several nodes: tokens, joining, leaving, removal, and what goes wrong with them."""

import concurrent.futures
import json
import os
import re
import signal
import unittest

from node import Node, NodeTestCase, make_network, run, until


class FlockTestCase(NodeTestCase):
    """Tests with a control plane, `node`, and boards that may join it."""

    @classmethod
    def setUpClass(cls):
        cls.network = make_network()
        cls.node = Node(cls.network).start()
        cls.addClassCleanup(cls.node.remove)

    def board(self, start=True):
        """Another machine, with an agent of its own that has joined nothing."""
        board = Node(self.network)
        # When it is gone: what it leaves in the cluster is nothing that the next test expects.
        self.addCleanup(self.node.kubectl, "delete", "node", board.name, "--ignore-not-found", check=False)
        self.addCleanup(board.remove)
        self.addCleanup(self.show_log_of_failure, board)
        if start:
            board.start()
        return board

    def line(self, *arguments):
        return self.node.swiftlet("add-node", "--format", "short", *arguments).stdout.strip()

    def condition(self, name, kind="Ready"):
        node = self.node.json("get", "node", name)
        return next((c["status"] for c in node["status"].get("conditions", []) if c["type"] == kind), None)

    def programs(self, board):
        """The command lines in the board's cgroups."""
        return run("sh", "-c", f"find /sys/fs/cgroup -path '*{board.cgroup}/*' -name cgroup.procs -exec cat {{}} +"
                   " | sort -u | xargs -r -I@ cat /proc/@/cmdline", check=False).stdout

    def joined(self):
        board = self.board()
        board.swiftlet("join", self.line())
        return board


class JoinTests(FlockTestCase):
    def test_joins_runs_pods_and_leaves(self):
        board = self.board()
        said = board.swiftlet("join", self.line()).stdout
        self.assertIn("The node is ready.", said)
        self.assertEqual(self.condition(board.name), "True")
        ranges = {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in self.node.json("get", "nodes")["items"]}
        self.assertEqual(len(set(ranges.values())), len(ranges))
        # A pod runs there, and logs and exec reach it through the control plane.
        board.import_test_image()
        self.start_pod("there", "echo hello; sleep 100000", nodeName=board.name)
        self.assertEqual(self.node.kubectl("logs", "there").stdout, "hello\n")
        self.assertEqual(self.node.kubectl("exec", "there", "--", "echo", "alive").stdout, "alive\n")
        address = self.node.json("get", "pod", "there")["status"]["podIP"]
        self.assertTrue(address.startswith(ranges[board.name].rsplit(".", 1)[0]), (address, ranges))
        # Again: nothing changes.
        self.assertIn("already", board.swiftlet("join", self.line()).stdout)
        # It leaves in order and is a cluster of its own again.
        self.assertIn("has left", board.swiftlet("leave").stdout)
        self.assertNotEqual(self.node.kubectl("get", "node", board.name, check=False).returncode, 0)
        self.assertNotEqual(self.node.kubectl("get", "pod", "there", check=False).returncode, 0)
        board.wait_ready()
        self.assertEqual(len(board.json("get", "nodes")["items"]), 1)
        # And comes back under the same name.
        board.swiftlet("join", self.line())
        self.assertEqual(self.condition(board.name), "True")

    def test_pods_reach_each_other_also_when_an_address_changes(self):
        board = self.joined()
        for node in (self.node, board):
            node.import_test_image()
        self.start_pod("far", "echo from afar > /tmp/index.html; httpd -f -p 8080 -h /tmp", nodeName=board.name)
        self.start_pod("near", nodeName=self.node.name)
        address = self.node.json("get", "pod", "far")["status"]["podIP"]

        def reaches():
            return self.node.kubectl("exec", "near", "--", "wget", "-q", "-O", "-", f"http://{address}:8080/",
                                     check=False).stdout == "from afar\n"
        until(reaches, 30, "the way between pods of two nodes")
        # The board gets another address; its pods keep theirs, and logs and exec find them there.
        before = self.node.json("get", "pod", "far")["status"]["containerStatuses"][0]
        board.disconnect()
        board.connect(self.network, f"{self.network.prefix}.77")
        until(lambda: any(a["address"] == board.address for a in
                          self.node.json("get", "node", board.name)["status"]["addresses"]), 60, "the new address")
        until(reaches, 30, "the way over the new address")
        until(lambda: self.node.kubectl("exec", "far", "--", "echo", "here", check=False).stdout == "here\n", 120,
              "exec over the new address")
        after = self.node.json("get", "pod", "far")["status"]["containerStatuses"][0]
        self.assertEqual((after["containerID"], after["restartCount"]), (before["containerID"], 0))

    def test_a_node_outlives_the_control_plane(self):
        board = self.joined()
        board.import_test_image()
        self.start_pod("lonely", "sleep 100000", nodeName=board.name)
        before = self.node.json("get", "pod", "lonely")["status"]["containerStatuses"][0]
        self.node.stop()
        try:
            # The node's own power fails while the control plane is away; it starts its pod by itself.
            board.cut_power()
            board.start(wait=False)
            until(lambda: "sleep\x00100000" in self.programs(board), 30, "the pod's return")
        finally:
            self.node.start()
        until(lambda: self.condition(board.name) == "True", 60, "the node's readiness")
        until(lambda: self.node.json("get", "pod", "lonely")["status"]["containerStatuses"][0]["restartCount"]
              > before["restartCount"], 30, "the restart in the status")

    def test_remove_node_drains_and_respects_budgets(self):
        board = self.joined()
        board.import_test_image()
        self.start_pod("guarded", "sleep 100000", nodeName=board.name)
        self.node.apply(json.dumps({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "guard"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "guarded"}}}}))
        refused = self.node.swiftlet("remove-node", board.name, "--timeout", "2s", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("default/guarded", refused.stdout + refused.stderr)
        self.assertTrue(self.node.json("get", "node", board.name)["spec"]["unschedulable"])
        self.node.kubectl("delete", "pdb", "guard")
        self.node.swiftlet("remove-node", board.name)
        self.assertNotEqual(self.node.kubectl("get", "node", board.name, check=False).returncode, 0)

    def test_leaving_respects_budgets_and_says_what_stays(self):
        board = self.joined()
        board.import_test_image()
        self.start_pod("kept", "sleep 100000", nodeName=board.name)
        self.node.apply(json.dumps({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "keep"},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "kept"}}}}))
        refused = board.swiftlet("leave", "--timeout", "1s", check=False)
        self.assertNotEqual(refused.returncode, 0)
        for words in ("default/kept", "PodDisruptionBudgets", f"uncordon {board.name}"):
            self.assertIn(words, refused.stderr)
        self.node.stop()
        try:
            said = json.loads(board.swiftlet("leave", "--force", "-o", "json").stdout)
        finally:
            self.node.start()
        self.assertEqual((said["left"], said["nodeDeleted"], said["node"]), (True, False, board.name))
        self.assertTrue(self.node.json("get", "node", board.name)["spec"]["unschedulable"])
        # It comes back under its name, and takes pods as before.
        board.wait_ready()
        self.node.kubectl("delete", "pdb", "keep")
        self.node.kubectl("delete", "lease", "-n", "kube-node-lease", board.name)
        board.swiftlet("join", self.line())
        self.assertNotIn("unschedulable", self.node.json("get", "node", board.name)["spec"])

    def test_commands_of_others_than_root(self):
        board = self.joined()
        group, user = "54321", "54322"

        def call(node, *command, member=True):
            groups = ("--groups", group) if member else ("--clear-groups",)
            return node.execute("setpriv", "--reuid", user, "--regid", user, *groups, node.binaries / "swiftlet",
                                *command[:1], "--config", node.configuration, *command[1:], check=False)

        for node in (self.node, board):
            node.directory.chmod(0o711)
            node.configuration.chmod(0o644)
        # As the agent does it where there is a group "swiftlet".
        os.chown(self.node.kubeconfig, 0, int(group))
        self.node.kubeconfig.chmod(0o640)
        self.assertEqual(self.node.kubeconfig.stat().st_mode & 0o777, 0o640)
        self.assertIn("ready:    yes", call(self.node, "status").stdout)
        line = call(self.node, "add-node", "--format", "short")
        self.assertEqual(line.stdout.strip().split("/")[2], self.line().split("/")[2], line.stderr)
        self.assertIn("no node of this name", call(self.node, "remove-node", "nobody").stderr)
        self.assertIn(self.node.name, call(self.node, "kubectl", "get", "nodes").stdout)
        for command in (["status"], ["add-node"], ["config"]):
            with self.subTest(command):
                said = call(self.node, *command, member=False)
                self.assertNotEqual(said.returncode, 0)
                self.assertIn("run it with sudo, or as a member of group swiftlet", said.stdout + said.stderr)
        said = call(board, "status")
        self.assertIn("run it with sudo", said.stdout)
        self.assertNotIn("leave --force", said.stdout)

    def test_a_worker_says_where_its_cluster_is(self):
        board = self.joined()
        for command in (["kubectl", "--config", board.configuration, "get", "nodes"],
                        ["config", "kubeconfig", "--config", board.configuration],
                        ["token", "list", "--config", board.configuration]):
            with self.subTest(command[0]):
                said = board.execute(board.binaries / "swiftlet", *command, check=False)
                self.assertNotEqual(said.returncode, 0)
                self.assertIn(f"this node is a worker of the cluster at https://{self.node.address}", said.stderr)
                self.assertIn("on the control plane", said.stderr)

    def test_a_dead_node_goes_by_force_only(self):
        board = self.joined()
        board.stop(signal.SIGKILL)
        # It is not reported dead for a while: force and a short patience.
        self.node.swiftlet("remove-node", board.name, "--force", "--timeout", "1s")
        self.assertNotEqual(self.node.kubectl("get", "node", board.name, check=False).returncode, 0)


class RefusalTests(FlockTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = Node(cls.network).start()
        cls.addClassCleanup(cls.other.remove)

    def refused(self, board, line, *arguments):
        result = board.swiftlet("join", *arguments, line, check=False)
        self.assertNotEqual(result.returncode, 0, result.stdout)
        self.assertFalse((board.directory / "state/membership").exists())
        return result.stdout + result.stderr

    def test_garbled_lines_name_the_part(self):
        good = self.line()
        endpoint, token, fingerprint = good.split("/")
        for line, words in [
            ("", "words|parts"), (endpoint, "parts"), (f"{endpoint}/{token[:-1]}/{fingerprint}", "token"),
            (f"{endpoint}/{token}/{fingerprint[:-1]}", "hash"), (f"10.0.0.1/{token}/{fingerprint}", "address with a port"),
            (f"10.0.0.300:16443/{token}/{fingerprint}", "address with a port"),
            (f"{endpoint}/{token}", "insecure-skip-ca-verification"),
        ]:
            with self.subTest(line=line):
                self.assertRegex(self.refused(self.other, line), words)

    def test_a_wrong_hash_keeps_the_token_secret(self):
        endpoint, token, fingerprint = self.line().split("/")
        said = self.refused(self.other, f"{endpoint}/{token}/{'0' * 64}")
        self.assertIn("token was not sent", said)
        # Another cluster answers at the address: the man in the middle has a certificate, but not of this authority.
        said = self.refused(self.board(start=False), f"{self.other.address}:16443/{token}/{fingerprint}")
        self.assertIn("token was not sent", said)
        self.assertEqual(self.state_of(token), "valid")

    def state_of(self, token):
        tokens = json.loads(self.node.swiftlet("token", "list", "-o", "json").stdout)
        return next(t["state"] for t in tokens if t["id"] == token.split(".")[0])

    def test_tokens_end(self):
        endpoint, token, fingerprint = self.line().split("/")
        self.assertIn("not known", self.refused(self.other, f"{endpoint}/{token[:-1]}{'a' if token[-1] != 'a' else 'b'}/{fingerprint}"))
        self.node.swiftlet("token", "revoke", token.split(".")[0])
        self.assertIn("not known", self.refused(self.other, f"{endpoint}/{token}/{fingerprint}"))
        short = self.line("--token-ttl", "1s")
        until(lambda: self.state_of(short.split("/")[1]) == "expired", 10, "the token's end")
        self.assertIn("expired", self.refused(self.other, short))

    def test_of_racing_boards_one_wins(self):
        line = self.line()
        boards = [self.board(start=False) for _ in range(3)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            results = list(pool.map(lambda board: board.swiftlet("join", line, check=False), boards))
        self.assertEqual([r.returncode for r in results].count(0), 1, [r.stdout + r.stderr for r in results])
        for result in results:
            if result.returncode:
                self.assertIn("used already", result.stdout + result.stderr)

    def test_names_and_running_pods(self):
        said = self.refused(self.other, self.line(), "--node-name", self.node.name)
        self.assertIn("taken", said)
        self.other.import_test_image()
        self.other.apply(self.pod("mine"))
        self.other.kubectl("wait", "--for=condition=Ready", "pod/mine", "--timeout=30s")
        self.assertIn("default/mine", self.refused(self.other, self.line()))
        self.other.kubectl("delete", "pod", "mine", "--grace-period=0", "--force")

    def test_nobody_answers(self):
        endpoint, token, fingerprint = self.line().split("/")
        said = self.refused(self.other, f"{self.node.address}:1/{token}/{fingerprint}")
        self.assertRegex(said, r"(?i)refused")
        self.assertIn("firewall", said)

    def test_secrets_hold_no_token(self):
        token = self.line().split("/")[1]
        secrets = self.node.kubectl("get", "secrets", "-A", "-o", "yaml").stdout
        self.assertNotIn(token.split(".")[1], secrets)
        self.assertTrue(re.search("join-token-" + token.split(".")[0], secrets))


if __name__ == "__main__":
    unittest.main()
