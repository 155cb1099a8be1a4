# SPDX-License-Identifier: Apache-2.0
"""What goes wrong while clusters are formed and looked after: commands and agents that are killed at each of their steps, full
disks, clocks that are years off, and hands that take away what the agent made. Always a clear message, nothing half-done, and
the same command again mends it."""

import contextlib
import itertools
import json
import os
import pathlib
import signal
import struct
import tarfile
import threading
import unittest
import unittest.mock

from node import ROOT, Node, NodeTestCase, make_network, run, until
from test_certificates import clock_offset
from test_flock import FlockTestCase


class KillPoint:
    """Before which of their steps the processes with this environment are killed, see kill_point.c."""

    def __init__(self, directory):
        library = pathlib.Path(directory) / "kill_point.so"
        if not library.exists():
            run("cc", "-shared", "-fPIC", "-O1", "-o", library, ROOT / "Tests/EndToEnd/kill_point.c", "-ldl")
        self.file = pathlib.Path(directory) / "kill-point"
        self.file.write_bytes(bytes(4))
        self.environment = {"LD_PRELOAD": str(library), "KILL_POINT": str(self.file)}

    @property
    def left(self):
        return struct.unpack("i", self.file.read_bytes())[0]

    def set(self, step):
        # In place: who shares the memory must see it.
        with open(self.file, "r+b") as file:
            file.write(struct.pack("i", step))


def walk(test, node, *command, each=lambda: None, stride=1, first=1, done=None):
    """Runs a command again and again, each time killed a step later than the last time, until it comes to its end, or says
    `done`: that there is nothing left to do."""
    point = KillPoint(node.directory)
    for step in itertools.count(first, stride):
        test.assertLess(step, 1000, f"{command} has no end")
        point.set(step)
        result = node.swiftlet(*command, check=False, env={**os.environ, **point.environment})
        if point.left > 0 or done and done in result.stderr:
            point.set(0)
            if done and done in result.stderr:
                return step
            test.assertEqual(result.returncode, 0, f"step {step}: {result.stdout}{result.stderr}")
            return step
        test.assertEqual(result.returncode, -signal.SIGKILL, f"step {step}: {result.stdout}{result.stderr}")
        each()


@contextlib.contextmanager
def supervised(*nodes):
    """Starts agents that end anew, as systemd does it."""
    over = threading.Event()

    def watch():
        while not over.wait(0.1):
            for node in nodes:
                if node.process is not None and node.process.poll() is not None:
                    node.start(wait=False)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


class KilledTests(FlockTestCase):
    def unfinished(self, board):
        """What the status of a board says is to be done."""
        return json.loads(board.swiftlet("status", "-o", "json", check=False).stdout)["node"].get("unfinished", "")

    def test_join_and_leave_at_each_step(self):
        board = self.board()
        line = self.line()
        said = set()

        def look():
            self.assertIsNone(board.process.poll(), board.log_tail())
            said.add(self.unfinished(board).split(":")[0])

        steps = walk(self, board, "join", line, each=look)
        self.assertGreater(steps, 20)
        # The token is used up once, by this board, however often it asked.
        self.assertEqual(self.condition(board.name), "True")
        self.assertIn("this board has joined a cluster, but its agent still runs its own", said)
        state = board.directory / "state"
        self.assertEqual([p.name for p in state.iterdir() if p.name.startswith((".membership", "joining"))], [])
        self.assertEqual(self.unfinished(board), "")
        said.clear()
        walk(self, board, "leave", each=look)
        self.assertIn("this board has left its cluster, but its agent does not know it yet", said)
        board.wait_ready()
        self.assertNotEqual(self.node.kubectl("get", "node", board.name, check=False).returncode, 0)
        self.assertEqual([p.name for p in state.iterdir() if "membership" in p.name], [])

    def test_agents_while_a_board_joins_and_leaves(self):
        board = self.board(start=False)
        for node in (self.node, board):
            node.stop()
            node.point = KillPoint(node.directory)
            node.environment.update(node.point.environment)
            node.start()
        line = self.line("--uses", "1")
        with supervised(self.node, board):
            # The control plane, at each step of letting a board in: the same line goes on.
            for step in itertools.count(1, 4):
                self.node.point.set(step)
                result = board.swiftlet("join", line, check=False)
                killed = self.node.point.left == 0
                self.node.point.set(0)
                if killed:
                    until(lambda: self.node.kubectl("get", "node", check=False).returncode == 0, 30, "the control plane")
                if result.returncode == 0:
                    break
                self.assertTrue(killed, result.stdout + result.stderr)
                self.assertLess(step, 60)
            board.swiftlet("leave")
            # The board's own agent, while it begins anew.
            for step in (1, 40):
                for command in (["join", self.line()], ["leave"]):
                    board.point.set(step)
                    board.swiftlet(*command, check=False)
                    board.point.set(0)
                    said = board.swiftlet(*command).stdout
                    until(lambda: self.unfinished(board) == "", 20, f"the end of {command} ({said})")
            board.wait_ready()

    def test_a_removed_node_stays_removed(self):
        board = self.joined()
        walk(self, self.node, "remove-node", board.name, done="no node of this name")
        # Its agent finds out, does not make it anew, and says what to do.
        until(lambda: "The cluster has removed this node" in board.log.read_text(), 30, "the agent's word")
        self.assertNotEqual(self.node.kubectl("get", "node", board.name, check=False).returncode, 0)
        self.assertIn("swiftlet leave", self.unfinished(board))
        self.assertIn("has removed", board.swiftlet("join", self.line(), check=False).stderr)
        self.assertIn("no node of this name", self.node.swiftlet("remove-node", board.name, check=False).stderr)
        board.swiftlet("leave")
        board.swiftlet("join", self.line())
        self.assertEqual(self.condition(board.name), "True")


class KilledBackupTests(NodeTestCase):
    def leftovers(self, node):
        """What a reset should have removed of a node's directories."""
        return [p.name for p in node.directory.iterdir() if p.name.startswith(("state", "run", "logs"))
                and (p.name.startswith("state.") or any(p.rglob("*")))] + [
                p.name for p in (node.directory / "etc").iterdir()]

    def names(self, state):
        """What of the state of a cluster is there."""
        return {name for name in ("store/store.db", "pki/ca.crt", "pki/ca.key") if (state / name).exists()}

    def test_backup_restore_and_reset_at_each_step(self):
        self.node.kubectl("create", "configmap", "kept")
        file = self.node.directory / "backup.tar.gz"

        def whole():
            if file.exists():
                with tarfile.open(file) as archive:
                    self.assertIn("./manifest.json", archive.getnames())

        walk(self, self.node, "backup", file, each=whole, stride=7)
        self.assertEqual([p.name for p in self.node.directory.iterdir() if p.name.startswith("backup.tar.gz")],
                         [file.name])
        fresh = Node()
        self.addCleanup(fresh.remove)
        fresh.start()
        fresh.stop()
        state = fresh.directory / "state"
        authorities = {(state / "pki/ca.crt").read_text(), (self.node.directory / "state/pki/ca.crt").read_text()}

        def one_or_the_other():
            self.assertEqual(len(self.names(state)), 3)
            self.assertIn((state / "pki/ca.crt").read_text(), authorities)

        walk(self, fresh, "restore", file, "--force", each=one_or_the_other, stride=11)
        one_or_the_other()
        fresh.start()
        self.assertEqual(fresh.kubectl("get", "configmap", "kept", "-o", "name").stdout, "configmap/kept\n")
        fresh.import_test_image()
        fresh.stop()

        def all_or_nothing():
            self.assertIn(len(self.names(state)), (0, 3))

        # Written by an agent that was killed before it came to its end.
        (fresh.directory / "etc/.admin.kubeconfig.new").write_text("a key")
        walk(self, fresh, "reset", "--yes", each=all_or_nothing, stride=11)
        self.assertEqual(self.leftovers(fresh), [])
        fresh.start()


class FullDiskTests(FlockTestCase):
    def setUp(self):
        super().setUp()
        self.fillers = []
        self.addCleanup(self.free)

    def small(self, node, mebibytes=48):
        """Gives a node's state a small disk of its own."""
        state = node.directory / "state"
        state.mkdir()
        run("mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", state)
        self.addCleanup(run, "umount", "-l", state, check=False)
        return state

    def fill(self, directory, leaving=0):
        """Takes the room of a file system."""
        filler = directory / "filler"
        self.fillers.append(filler)
        space = os.statvfs(directory)
        with open(filler, "ab") as file:
            block = bytes(4096)
            for _ in range(max(0, space.f_bavail - leaving // space.f_frsize)):
                file.write(block)

    def free(self):
        for filler in self.fillers:
            filler.unlink(missing_ok=True)
        self.fillers.clear()

    def condition_of(self, node, kind):
        conditions = node.json("get", "node", node.name)["status"]["conditions"]
        return next(c["status"] for c in conditions if c["type"] == kind)

    def test_a_full_control_plane_recovers(self):
        node = Node(self.network)
        self.addCleanup(node.remove)
        self.addCleanup(self.show_log_of_failure, node)
        state = self.small(node)
        node.start()
        node.kubectl("create", "configmap", "before")
        board, line = self.board(start=False), node.swiftlet("add-node", "--format", "short").stdout.strip()
        # Short of room: no new pods come.
        self.fill(state, leaving=2 << 20)
        until(lambda: self.condition_of(node, "DiskPressure") == "True", 30, "the condition")
        until(lambda: "node.kubernetes.io/disk-pressure" in node.kubectl("get", "node", node.name, "-o", "yaml").stdout,
              10, "the taint")
        self.fill(state)
        # What is written fails and says why; what is there can be read, and nobody dies of it.
        made = []
        for number in itertools.count():
            result = node.kubectl("create", "configmap", f"full-{number}", f"--from-literal=a={'x' * 50_000}", check=False)
            if result.returncode != 0:
                break
            made.append(f"full-{number}")
            self.assertLess(number, 200)
        self.assertIn("the disk is full; free some space", result.stderr)
        self.assertEqual(node.kubectl("get", "configmap", "before", "-o", "name").stdout, "configmap/before\n")
        for refused in (node.swiftlet("add-node", check=False), board.swiftlet("join", line, check=False)):
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("the disk is full", refused.stderr)
        refused = node.swiftlet("backup", state / "backup.tar.gz", check=False)
        self.assertIn("full", refused.stderr)
        self.assertEqual([p.name for p in state.iterdir() if "backup" in p.name], [])
        # An agent that is killed then comes back, or says what it needs.
        node.stop(signal.SIGKILL)
        node.start(wait=False)
        until(lambda: node.process.poll() is not None
              or node.kubectl("get", "configmap", "before", check=False).returncode == 0, 30, "the agent's fate")
        if node.process.poll() is not None:
            self.assertIn("disk is full", node.log_tail(3))
            node.process = None
        self.free()
        if node.process is None:
            node.start(wait=False)
        until(lambda: node.kubectl("create", "configmap", "after", check=False).returncode == 0, 20, "room again")
        # What was acknowledged is there, and what was refused is not.
        there = {name.split("/")[1] for name in node.kubectl("get", "configmaps", "-o", "name").stdout.split()}
        self.assertEqual({name for name in there if name.startswith("full-")}, set(made))
        # The board's line is still good: the token that could not be written down was not used up.
        board.swiftlet("join", line)
        # The condition outlasts its cause by minutes, which an agent that starts anew does not know of.
        node.stop()
        node.start()
        until(lambda: self.condition_of(node, "DiskPressure") == "False", 30, "the condition's end")

    def test_a_pod_that_fills_the_disk_goes(self):
        node = Node(self.network)
        self.addCleanup(node.remove)
        self.addCleanup(self.show_log_of_failure, node)
        state = self.small(node, 256)
        node.start()
        node.import_test_image()
        node.apply(self.pod("modest"))
        node.kubectl("wait", "--for=condition=Ready", "pod/modest", "--timeout=30s")
        space = os.statvfs(state)
        count = (space.f_bavail * space.f_frsize >> 20) - 24
        node.apply(self.pod("greedy", f"dd if=/dev/zero of=/v/f bs=1M count={count}; sleep 100000", container={
            "volumeMounts": [{"name": "v", "mountPath": "/v"}]}, volumes=[{"name": "v", "emptyDir": {}}]))
        status = lambda name: node.json("get", "pod", name)["status"]
        until(lambda: status("greedy")["phase"] == "Failed", 60, "the eviction")
        greedy = status("greedy")
        self.assertEqual(greedy["reason"], "Evicted")
        self.assertRegex(greedy["message"], "^The node was low on resource: ephemeral-storage. Threshold quantity: ")
        self.assertIn("TerminationByKubelet", [c.get("reason") for c in greedy["conditions"]])
        # It was enough; but for a while nobody comes, also past the scheduler.
        node.apply(self.pod("late", nodeName=node.name))
        until(lambda: status("late").get("phase") == "Failed", 30, "the refusal")
        self.assertEqual(status("late")["message"], "Pod was rejected: The node had condition: [DiskPressure]. ")
        self.assertEqual(status("modest")["phase"], "Running")

    def test_a_full_board_joins_and_leaves(self):
        board = self.board(start=False)
        state = self.small(board)
        board.start()
        line = self.line()
        self.fill(state)
        refused = board.swiftlet("join", line, check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertRegex(refused.stderr, "disk is full.*same command again")
        self.assertFalse((state / "membership").exists())
        self.free()
        board.swiftlet("join", line)
        # To leave takes hardly any room: the store of the board's own cluster needs some.
        self.fill(state, leaving=1 << 20)
        self.assertIn("has left", board.swiftlet("leave").stdout)


class ClockTests(FlockTestCase):
    def test_clocks_that_are_years_off(self):
        def join(years, line):
            board = self.board(start=False)
            board.environment |= {"LD_PRELOAD": str(clock_offset(self.node.directory)),
                                  "CLOCK_OFFSET": str(years * 365 * 86400)}
            with unittest.mock.patch.dict(os.environ, board.environment):
                board.start()
                return board.swiftlet("join", line, check=False)

        line = self.line()
        ahead = join(9, line)
        self.assertNotEqual(ahead.returncode, 0)
        self.assertRegex(ahead.stderr, "this board's clock says 20.*and the cluster's 20.*timedatectl")
        # One that is behind does no harm, and is told of.
        behind = join(-5, line)
        self.assertEqual(behind.returncode, 0, behind.stderr)
        self.assertIn("warning: this board's clock says", behind.stdout)


class HandTests(FlockTestCase):
    """Somebody takes away what the agent made; it is made again, and pods feel nothing but a pause."""

    def test_links_routes_and_rules_come_back(self):
        board = self.joined()
        for node in (self.node, board):
            node.import_test_image()
        serve = "hostname > /tmp/index.html; httpd -f -p 8080 -h /tmp"
        self.start_pod("far", serve, nodeName=board.name)
        self.start_pod("near", serve, nodeName=self.node.name, container={
            "ports": [{"containerPort": 8080, "hostPort": 18080}]})
        pods = {name: self.node.json("get", "pod", name)["status"] for name in ("far", "near")}

        def works():
            far = self.node.kubectl("exec", "near", "--", "timeout", "3", "wget", "-q", "-O", "-",
                                    f"http://{pods['far']['podIP']}:8080/", check=False).stdout
            mapped = self.node.execute("curl", "-s", "-m", "3", f"http://{self.node.address}:18080/", check=False).stdout
            return (far, mapped) == ("far\n", "near\n")

        until(works, 30, "the way between the pods")
        link = json.loads(self.node.execute("ip", "-j", "link").stdout)
        link = next(entry["ifname"] for entry in link if entry["ifname"].startswith("swl"))
        route = board.execute("ip", "route", "show", "proto", "83").stdout.split()[0]
        for node, command in [
            (self.node, ("ip", "link", "delete", link)), (self.node, ("ip", "link", "delete", self.node.bridge)),
            (board, ("ip", "link", "delete", board.bridge)), (board, ("ip", "route", "delete", route)),
            (self.node, ("nft", "flush", "ruleset")),
        ]:
            with self.subTest(command=command):
                # It may be mended before anybody can look.
                node.execute(*command)
                until(works, 20, f"the way between the pods after {command}")
        for name, status in pods.items():
            now = self.node.json("get", "pod", name)["status"]
            self.assertEqual((now["podIP"], now["containerStatuses"]), (status["podIP"], status["containerStatuses"]))


if __name__ == "__main__":
    unittest.main()
