# SPDX-License-Identifier: Apache-2.0
"""Certificates of a running cluster: shown, renewed by command and by age, and the authority replaced under load."""

import contextlib
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

from node import ROOT, Node, make_network, run, until
from test_flock import FlockTestCase


class CertificatesTestCase(FlockTestCase):
    def shown(self, node, address, port):
        """What a server shows on a new connection: serial number and issuer of its certificate."""
        seen = node.execute("sh", "-c", f"openssl s_client -connect {address}:{port} -showcerts </dev/null 2>/dev/null"
                            " | openssl x509 -noout -serial -issuer", check=False).stdout
        return dict(line.split("=", 1) for line in seen.splitlines() if "=" in line)

    def serials(self, board):
        return {name: self.shown(self.node, address, port)["serial"] for name, address, port in [
            ("apiserver", "127.0.0.1", 16443), ("kubelet", "127.0.0.1", 10250), ("worker", board.address, 10250)]}

    def status(self, node, code=0):
        result = node.swiftlet("certificates", "status", "-o", "json", check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return json.loads(result.stdout)

    def certificates(self, node, code=0):
        return {entry["name"]: entry for entry in self.status(node, code)["certificates"]}

    def works(self, board, pod):
        """Control plane and worker reach each other: a request of each to the other."""
        return (self.condition(board.name) == "True" and
                self.node.kubectl("exec", pod, "--", "echo", "here", check=False).stdout == "here\n")

    def start_there(self, board, name):
        board.import_test_image()
        self.start_pod(name, nodeName=board.name)


class RenewalTests(CertificatesTestCase):
    def test_status_tells_what_there_is(self):
        board = self.joined()
        mine = self.certificates(self.node)
        self.assertEqual(set(mine), {"ca", "apiserver", "apiserver-kubelet-client", "kubelet", "kubelet-client", "admin",
                                     "admin.kubeconfig"})
        self.assertEqual({entry["state"] for entry in mine.values()}, {"valid"})
        self.assertIn(self.node.address, mine["apiserver"]["names"])
        self.assertEqual(mine["admin"]["subject"], "O=system:masters,CN=kubernetes-admin")
        self.assertTrue(mine["apiserver"]["inUse"])
        theirs = self.certificates(board)
        self.assertEqual(set(theirs), {"ca", "kubelet-client", "kubelet"})
        self.assertEqual(theirs["ca"]["sha256"], mine["ca"]["sha256"])
        self.assertEqual(theirs["kubelet"]["names"], [board.name, board.address])
        self.assertTrue(theirs["kubelet-client"]["inUse"])
        table = board.swiftlet("certificates").stdout
        self.assertRegex(table, r"NAME +KIND +STATE +EXPIRES +REMAINING +IN USE +RENEWED BY +SUBJECT +NAMES")
        self.assertRegex(table, rf"kubelet-client +client +valid .* O=system:nodes,CN=system:node:{board.name}")
        self.assertIn("renewedBy: agent", board.swiftlet("certificates", "status", "-o", "yaml").stdout)

    def test_renewal_by_command_needs_no_restart(self):
        board = self.joined()
        self.start_there(board, "renewed")
        before, agents = self.serials(board), (self.node.agent(), board.agent())
        old = {node: self.certificates(node) for node in (self.node, board)}
        said = self.node.swiftlet("certificates", "renew").stdout
        self.assertIn("The agent uses them.", said)
        renewed = json.loads(board.swiftlet("certificates", "renew", "-o", "json").stdout)
        self.assertTrue(renewed["inUse"])
        self.assertEqual({entry["name"] for entry in renewed["renewed"]}, {"kubelet-client", "kubelet"})
        after = self.serials(board)
        for name in before:
            self.assertNotEqual(before[name], after[name], name)
        for node, kept in ((self.node, {"ca"}), (board, {"ca"})):
            new = self.certificates(node)
            same = {name for name, entry in new.items() if entry["sha256"] == old[node][name]["sha256"]}
            self.assertEqual(same, kept)
        self.assertTrue(self.works(board, "renewed"))
        self.assertEqual(agents, (self.node.agent(), board.agent()))
        # One alone.
        serial = self.certificates(self.node)["apiserver"]["sha256"]
        self.node.swiftlet("certificates", "renew", "admin")
        self.assertEqual(self.certificates(self.node)["apiserver"]["sha256"], serial)
        self.node.kubectl("get", "nodes")

    def test_a_bad_certificate_shows_and_heals(self):
        (self.node.directory / "state/pki/kubelet-client.crt").write_text("nothing")
        self.assertEqual(self.certificates(self.node, 1)["kubelet-client"]["state"], "unreadable")
        self.node.swiftlet("certificates", "renew", "kubelet-client")
        self.assertEqual(self.certificates(self.node)["kubelet-client"]["state"], "valid")

    def test_what_cannot_be_renewed_says_why(self):
        board = self.joined()
        for node, name, words in ((self.node, "ca", "rotate-ca"), (self.node, "nobody", "name one of apiserver"),
                                  (board, "admin", "name one of kubelet-client")):
            refused = node.swiftlet("certificates", "renew", name, check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(words, refused.stderr)
        self.node.stop()
        try:
            refused = board.swiftlet("certificates", "renew", "--timeout", "5s", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("see that it runs", refused.stderr)
            # The control plane's own need nobody.
            said = self.node.swiftlet("certificates", "renew").stdout
            self.assertIn("its next start uses them", said)
        finally:
            self.node.start()
        refused = board.swiftlet("certificates", "rotate-ca", check=False)
        self.assertIn("run it on the control plane", refused.stderr)


class ShortLifeTests(CertificatesTestCase):
    """A cluster whose certificates last a minute: age alone renews them all, in the running processes."""

    @classmethod
    def setUpClass(cls):
        cls.network = make_network()
        cls.node = Node(cls.network)
        cls.addClassCleanup(cls.node.remove)
        cls.node.write_configuration("certificates: {lifetimeMinutes: 1}\n")
        cls.node.start()

    def test_age_renews_everything(self):
        board = self.joined()
        self.start_there(board, "young")
        agents = (self.node.agent(), board.agent())
        first, old = self.serials(board), {node: self.certificates(node) for node in (self.node, board)}
        ends = [entry["notAfter"] for entries in old.values() for entry in entries.values() if entry["kind"] != "authority"]
        self.assertLess(max(entry["remainingSeconds"] for entries in old.values() for entry in entries.values()
                            if entry["kind"] != "authority"), 61)
        # Long enough that none of the first certificates holds any more; the cluster works all the while.
        waited = time.monotonic() + 75
        while time.monotonic() < waited:
            self.assertTrue(self.works(board, "young"))
            time.sleep(1)
        self.assertLess(max(ends), time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()))
        for node in (self.node, board):
            for name, entry in self.certificates(node).items():
                if entry["kind"] == "authority":
                    continue
                self.assertIn(entry["state"], ("valid", "due"), name)
                self.assertNotEqual(entry["sha256"], old[node][name]["sha256"], name)
        last = self.serials(board)
        for name in first:
            self.assertNotEqual(first[name], last[name], name)
        self.assertEqual(agents, (self.node.agent(), board.agent()))
        self.assertNotIn("Cannot renew", board.log.read_text())


def clock_offset(directory):
    """A library that sets the wall clock of the processes that it is loaded into."""
    library = pathlib.Path(directory) / "clock_offset.so"
    if not library.exists():
        run("cc", "-shared", "-fPIC", "-O1", "-o", library, ROOT / "Tests/EndToEnd/clock_offset.c")
    return library


@contextlib.contextmanager
def without_clock(directory):
    """What is started here believes that it is the 1st of January 1970: a board without a real-time clock before NTP."""
    settings = {"LD_PRELOAD": str(clock_offset(directory)), "CLOCK_OFFSET": str(600 - int(time.time()))}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name in settings:
            del os.environ[name]


class UnsetClockTests(CertificatesTestCase):
    def test_a_control_plane_without_clock_keeps_its_workers(self):
        board = self.joined()
        self.start_there(board, "timeless")
        # Certificates by request begin when they are issued, which is in the future for a clock of 1970.
        board.swiftlet("certificates", "renew")
        before = {node: {name: entry["sha256"] for name, entry in self.certificates(node).items()}
                  for node in (self.node, board)}
        self.node.stop()
        with without_clock(self.node.directory):
            self.node.start()
            self.assertIn("clock is not set", self.node.swiftlet("certificates", "status").stdout)
        revision = self.node.json("get", "lease", "-n", "kube-node-lease", board.name)["metadata"]["resourceVersion"]
        until(lambda: self.node.json("get", "lease", "-n", "kube-node-lease", board.name)["metadata"]["resourceVersion"]
              != revision, 60, "a sign of life of the worker")
        self.assertEqual(self.condition(board.name), "True")
        self.node.stop()
        self.node.start()
        until(lambda: self.works(board, "timeless"), 60, "the worker's return")
        for node, fingerprints in before.items():
            self.assertEqual({name: entry["sha256"] for name, entry in self.certificates(node).items()}, fingerprints)

    def test_a_cluster_that_began_without_clock_gets_normal_certificates(self):
        board = self.board(start=False)
        with without_clock(self.node.directory):
            board.start()
        first = self.certificates(board)
        end = {entry["notAfter"] for entry in first.values()}
        self.assertEqual(len(end), 1, "all last as long as the authority")
        board.stop()
        board.start()
        for name, entry in self.certificates(board).items():
            self.assertEqual(entry["state"], "valid")
            if entry["kind"] != "authority":
                self.assertLessEqual(entry["remainingSeconds"], 366 * 86400, name)


class RotationTests(CertificatesTestCase):
    def rotate(self, *arguments, **options):
        return self.node.swiftlet("certificates", "rotate-ca", *arguments, **options)

    def kubectl_with(self, kubeconfig):
        return self.node.execute("kubectl", "--kubeconfig", kubeconfig, "get", "nodes", check=False)

    def save_kubeconfig(self, name):
        path = self.node.directory / name
        path.write_text(self.node.swiftlet("config").stdout)
        return path

    def test_the_authority_is_replaced_under_a_running_cluster(self):
        board = self.joined()
        self.start_there(board, "steady")
        agents = (self.node.agent(), board.agent())
        old_hash = self.certificates(self.node)["ca"]["sha256"]
        old_line, old_kubeconfig = self.line("--uses", "2"), self.save_kubeconfig("old.kubeconfig")
        self.assertTrue(old_line.endswith(old_hash))
        watch = subprocess.Popen(
            [*self.node.enter, "kubectl", "--kubeconfig", str(self.node.kubeconfig), "get", "node", board.name, "-o",
             "jsonpath={.status.conditions[?(@.type=='Ready')].status}{'\\n'}", "--watch"],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(watch.kill)

        said = self.rotate().stdout
        self.assertIn("The new authority signs", said)
        new_hash = self.certificates(self.node)["ca"]["sha256"]
        self.assertNotEqual(new_hash, old_hash)
        self.assertEqual(self.status(self.node)["authorityRotation"], "replaced")
        for node in (self.node, board):
            self.assertEqual({entry["state"] for entry in self.certificates(node).values()}, {"valid"})
        self.assertEqual(self.shown(self.node, board.address, 10250)["issuer"],
                         self.shown(self.node, "127.0.0.1", 16443)["issuer"])
        # Old and new work beside each other.
        self.assertTrue(self.works(board, "steady"))
        new_kubeconfig = self.save_kubeconfig("new.kubeconfig")
        for kubeconfig in (old_kubeconfig, new_kubeconfig):
            self.assertEqual(self.kubectl_with(kubeconfig).returncode, 0)
        trusted = self.node.json("get", "configmap", "kube-root-ca.crt")["data"]["ca.crt"]
        self.assertEqual(trusted.count("BEGIN CERTIFICATE"), 2)
        mounted = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
        until(lambda: self.node.kubectl("exec", "steady", "--", "cat", mounted).stdout == trusted, 120,
              "the new authorities in a running pod")
        new_line = self.line("--uses", "2")
        self.assertTrue(new_line.endswith(new_hash))
        for line in (old_line, new_line):
            other = self.board()
            other.swiftlet("join", line)
            self.assertEqual(self.condition(other.name), "True")
            self.assertEqual(len([name for name in self.certificates(other) if name.startswith("ca")]), 2)
        # Again: nothing is left to be done, and the old one goes by an explicit step only.
        self.assertIn("Every node that is ready", self.rotate().stdout)
        self.assertEqual(self.certificates(self.node)["ca"]["sha256"], new_hash)
        finished = json.loads(self.rotate("--finish", "-o", "json").stdout)
        self.assertEqual(finished, {"authorityRotation": "settled", "sha256": new_hash, "notReady": []})
        self.assertEqual(set(self.certificates(board)), {"ca", "kubelet-client", "kubelet"})
        self.assertEqual(self.certificates(board)["ca"]["sha256"], new_hash)
        self.assertTrue(self.works(board, "steady"))
        self.assertEqual(self.kubectl_with(new_kubeconfig).returncode, 0)
        refused = self.kubectl_with(old_kubeconfig)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("certificate", refused.stderr)
        late = self.board(start=False).swiftlet("join", old_line, check=False)
        self.assertNotEqual(late.returncode, 0)
        self.assertIn("token was not sent", late.stdout + late.stderr)
        # Nobody was restarted, and the worker was ready at every moment.
        self.assertEqual(agents, (self.node.agent(), board.agent()))
        watch.kill()
        self.assertEqual(set(watch.communicate()[0].split()), {"True"})

    def test_killed_at_any_moment_it_goes_on(self):
        board = self.joined()
        self.start_there(board, "tough")
        first = self.certificates(self.node)["ca"]["sha256"]
        # The command is killed soon after it has begun, each time a little later; so is the agent, in between.
        for attempt in range(12):
            process = subprocess.Popen(
                [*self.node.enter, str(self.node.binaries / "swiftlet"), "certificates", "rotate-ca", "--config",
                 str(self.node.configuration)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            try:
                process.communicate(timeout=0.05 + 0.05 * attempt)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
            if attempt % 4 == 3:
                self.node.stop(signal.SIGKILL)
                self.node.start()
            self.node.kubectl("get", "nodes")
            self.assertIn(self.status(self.node)["authorityRotation"], ("settled", "spreading", "replaced"))
        self.rotate()
        self.assertNotEqual(self.certificates(self.node)["ca"]["sha256"], first)
        until(lambda: self.works(board, "tough"), 30, "the worker's return")
        self.rotate("--finish")
        self.assertTrue(self.works(board, "tough"))

    def test_a_worker_that_was_away_finds_in_again(self):
        board = self.joined()
        self.start_there(board, "away")
        board.stop()
        until(lambda: self.condition(board.name) != "True", 120, "the node's absence")
        self.assertIn(board.name, self.rotate().stdout)
        refused = self.rotate("--finish", check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn(board.name, refused.stderr)
        # It knows only the old authority, and the server shows a certificate by the new one.
        board.start(wait=False)
        until(lambda: self.works(board, "away"), 60, "the worker's return")
        self.rotate("--finish")
        self.assertTrue(self.works(board, "away"))

    def test_there_is_a_way_back_before_the_new_one_signs(self):
        board = self.joined()
        before = self.certificates(self.node)["ca"]["sha256"]
        self.assertIn("one authority", self.rotate("--abort").stdout)
        # A worker that stands still, but is ready, keeps the old authority signing.
        agent = board.agent()
        run("kill", "-STOP", str(agent))
        try:
            refused = self.rotate("--timeout", "3s", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertRegex(refused.stderr, rf"do not trust the new authority yet: .*{re.escape(board.name)}")
            self.assertEqual(self.status(self.node)["authorityRotation"], "spreading")
            self.assertIn("does not sign yet", self.rotate("--finish", check=False).stderr)
            self.rotate("--abort")
        finally:
            run("kill", "-CONT", str(agent))
        self.assertEqual(self.status(self.node)["authorityRotation"], "settled")
        self.assertEqual(self.certificates(self.node)["ca"]["sha256"], before)
        until(lambda: self.condition(board.name) == "True", 60, "the worker's readiness")


if __name__ == "__main__":
    unittest.main()
