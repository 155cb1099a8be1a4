# SPDX-License-Identifier: Apache-2.0
"""Machines whose addresses change, the control plane's above all, and machines that have none."""

import json
import pathlib
import subprocess
import sys
import time
import unittest

from node import Node, NodeTestCase, make_network, until

MULTICAST_DNS = pathlib.Path(__file__).with_name("multicast_dns.py")


class MovingTestCase(NodeTestCase):
    """A control plane and a worker of each test's own, with a pod on the worker."""

    control_plane_configuration = ""

    def setUp(self):
        self.network = make_network()
        self.node = Node(self.network)
        self.addCleanup(self.node.remove)
        super().setUp()
        self.node.write_configuration(self.control_plane_configuration)
        self.prepare(self.node)
        self.node.start()
        self.worker = Node(self.network)
        self.addCleanup(self.worker.remove)
        self.addCleanup(self.show_log_of_failure, self.worker)
        self.prepare(self.worker)
        self.worker.start()
        self.worker.swiftlet("join", self.node.swiftlet("add-node", "--format", "short").stdout.split()[0])
        self.worker.import_test_image()
        self.start_pod("there", "echo hello; sleep 100000", nodeName=self.worker.name)
        self.container = self.status_of_pod()

    @classmethod
    def setUpClass(cls):
        pass

    def prepare(self, machine):
        """What is done with a machine before its agent starts."""

    def status_of_pod(self):
        status = self.node.json("get", "pod", "there")["status"]["containerStatuses"][0]
        return status["containerID"], status["restartCount"]

    def renewal(self):
        """When the worker renewed its lease last."""
        return self.node.json("-n", "kube-node-lease", "get", "lease", self.worker.name)["spec"]["renewTime"]

    def servers(self):
        """The API servers that the worker knows."""
        return json.loads((self.worker.directory / "state/membership/membership.json").read_text())["cluster"]["servers"]

    def disturb(self, *steps):
        """Takes steps that cut the worker off."""
        self.disturbed = self.renewal(), time.monotonic()
        for step in steps:
            step()

    def check_all_is_well(self, what):
        """Waits until the worker is back, and sees that its pod has felt nothing."""
        self.check_return(what)
        self.check_pods()

    def check_return(self, what):
        renewal, start = self.disturbed
        until(lambda: self.renewal() > renewal, 40, f"the worker's return {what}")
        print(f"\n{self.id()}: the worker was back {what} after {time.monotonic() - start:.1f} s", file=sys.stderr)
        node = self.node.json("get", "node", self.worker.name)
        ready = next(c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready")
        self.assertEqual(ready, "True")

    def check_pods(self):
        self.assertEqual(self.status_of_pod(), self.container)
        # A worker whose own address has changed needs a certificate for it first.
        until(lambda: self.node.kubectl("logs", "there", check=False).stdout == "hello\n", 60, "the pod's log")
        self.assertEqual(self.node.kubectl("exec", "there", "--", "echo", "alive").stdout, "alive\n")
        # What is new comes to the worker, too.
        self.node.kubectl("delete", "pod", "new", "--ignore-not-found", "--now")
        self.start_pod("new", nodeName=self.worker.name)

    def check_endpoints(self):
        def endpoint():
            return self.node.json("get", "endpoints", "kubernetes")["subsets"][0]["addresses"][0]["ip"]
        until(lambda: endpoint() == self.node.address, 20, "the endpoint of the service kubernetes")
        slices = self.node.json("get", "endpointslice", "kubernetes")
        self.assertEqual(slices["endpoints"][0]["addresses"], [self.node.address])
        self.assertIn(f"https://{self.node.address}:16443", slices["metadata"]["annotations"]["swiftlet.io/api-servers"])


class KnownAddressTests(MovingTestCase):
    control_plane_configuration = "api: {multicastDNS: false}\n"

    def test_the_worker_goes_to_another_address_that_it_knows(self):
        # Both machines get a second network; the worker learns the control plane's address there while all is well.
        second = f"172.31.{self.network.prefix.split('.')[1]}"
        self.worker.ip("address", "add", f"{second}.2/24", "dev", "eth0")
        self.node.ip("address", "add", f"{second}.1/24", "dev", "eth0")
        until(lambda: f"https://{second}.1:16443" in self.servers(), 20, "the news of the second address")
        self.assertEqual(self.servers()[0], f"https://{self.node.address}:16443")
        # The first one goes.
        self.disturb(lambda: self.node.ip("address", "delete", f"{self.node.address}/24", "dev", "eth0"))
        self.node.address = f"{second}.1"
        self.check_endpoints()
        self.check_return("at the second address")
        # The worker's goes, too: there is no way back to it.
        self.worker.ip("address", "delete", f"{self.worker.address}/24", "dev", "eth0")
        until(lambda: self.node.json("get", "node", self.worker.name)["status"]["addresses"][0]["address"] == f"{second}.2",
              30, "the worker's second address")
        self.check_pods()
        until(lambda: self.servers()[0] == f"https://{second}.1:16443", 20, "the new order of the addresses")


class UnknownAddressTests(MovingTestCase):
    def test_the_worker_finds_the_control_plane_at_an_address_that_it_does_not_know(self):
        self.disturb(lambda: self.node.move(f"{self.network.prefix}.201"))
        self.check_endpoints()
        self.check_all_is_well("at an unknown address")
        until(lambda: self.servers()[0] == f"https://{self.node.address}:16443", 20, "the worker's note of the address")
        # Its agent begins anew, and then misses a move.
        self.disturb(self.worker.stop, lambda: self.worker.start(wait=False))
        self.check_all_is_well("after its restart")
        self.disturb(self.worker.stop, lambda: self.node.move(f"{self.network.prefix}.202"))
        self.check_endpoints()
        self.worker.start(wait=False)
        self.check_all_is_well("after a move that it has missed")
        # Who joins now is told the new address.
        board = Node(self.network)
        self.addCleanup(board.remove)
        board.start()
        board.swiftlet("join", self.node.swiftlet("add-node", "--format", "short").stdout.split()[0])
        facts = json.loads((board.directory / "state/membership/membership.json").read_text())["cluster"]
        self.assertEqual(facts["servers"][0], f"https://{self.node.address}:16443")
        self.assertFalse([s for s in facts["servers"] if ".201:" in s], facts)

    def test_liars_on_the_link_get_nothing_and_hinder_nobody(self):
        fingerprint = self.node.swiftlet("add-node", "--format", "short").stdout.split()[0].split("/")[2]
        # One has a certificate of its own, and one is a node that was broken into, whose certificate is the cluster's.
        stranger, traitor = Node(self.network), Node(self.network)
        logs = []
        for liar in (stranger, traitor):
            self.addCleanup(liar.remove)
            logs.append(liar.directory / "liar.log")
        traitor.start()
        traitor.swiftlet("join", self.node.swiftlet("add-node", "--format", "short").stdout.split()[0])
        traitor.stop()
        certificates = [[], [traitor.directory / "state/membership/kubelet.pem"]]
        for liar, log, certificate in zip((stranger, traitor), logs, certificates):
            process = subprocess.Popen([*liar.enter, sys.executable, MULTICAST_DNS, "lie", liar.address, fingerprint, log,
                                        *certificate])
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            until(lambda: log.exists() and "ready" in log.read_text(), 20, "the liar")
        # As long as nobody else answers the worker tries them, and sends nothing.
        self.disturb(self.node.stop)
        for log in logs:
            until(lambda: "refused" in log.read_text() or "SENT" in log.read_text(), 60, "the worker's attempt at the liar")
        self.node.move(f"{self.network.prefix}.203")
        self.node.start()
        self.check_all_is_well("between lies")
        for said in (log.read_text() for log in logs):
            self.assertIn("answered", said)
            self.assertNotIn("SENT", said)

    def test_others_find_the_control_plane_by_multicast_dns(self):
        def ask(name, kind):
            said = self.worker.execute(sys.executable, MULTICAST_DNS, "ask", name, kind).stdout
            return [line.split(" ", 2) for line in said.splitlines()]
        records = ask("_swiftlet._tcp.local", "PTR")
        instance = f"{self.node.name}._swiftlet._tcp.local"
        self.assertIn(["_swiftlet._tcp.local", "12", instance], records)
        port, host = next(r[2] for r in records if r[:2] == [instance, "33"]).split()
        self.assertEqual(port, "16443")
        self.assertIn([host, "1", self.node.address], records)
        self.assertEqual(ask(host, "A"), [[host, "1", self.node.address]])


class OtherBridgeTests(MovingTestCase):
    """Both machines have Docker and the like: bridges of other software, with the same address on each."""

    def prepare(self, machine):
        # One with a container behind it, and one without.
        for bridge, address in (("docker0", "172.17.0.1/16"), ("virbr0", "192.168.122.1/24")):
            machine.ip("link", "add", bridge, "type", "bridge")
            machine.ip("address", "add", address, "dev", bridge)
            machine.ip("link", "set", bridge, "up")
        machine.ip("link", "add", "vethc0", "type", "veth", "peer", "name", "vethc1")
        machine.ip("link", "set", "vethc0", "master", "docker0")
        for link in ("vethc0", "vethc1"):
            machine.ip("link", "set", link, "up")

    def test_machines_with_the_same_bridges_are_one_cluster(self):
        for machine in (self.node, self.worker):
            node = self.node.json("get", "node", machine.name)
            addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
            self.assertEqual(addresses, [machine.address])
        self.check_pods()


class OtherResponderTests(MovingTestCase):
    """Another program has answered on port 5353 of both machines before the agent came, as on most distributions."""

    def prepare(self, machine):
        configuration = machine.directory / "avahi.conf"
        configuration.write_text(f"[server]\nhost-name=avahi-{machine.name}\nuse-ipv6=no\nallow-interfaces=eth0\n"
                                 "enable-dbus=no\n[wide-area]\n[publish]\n[reflector]\n[rlimits]\n")
        # One for each machine: its process file has a fixed place.
        command = ("mkdir -p /run/avahi-daemon && mount -t tmpfs tmpfs /run/avahi-daemon && exec avahi-daemon"
                   f" --no-drop-root --no-chroot --no-rlimits --file {configuration}")
        log = open(machine.directory / "avahi.log", "w")
        self.addCleanup(log.close)
        process = subprocess.Popen([*machine.enter, "unshare", "--mount", "sh", "-c", command], stdout=log, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        until(lambda: "avahi-daemon" in machine.execute("ss", "-Hulnp", "sport = :5353").stdout, 20, "avahi-daemon")

    def test_both_answer_and_the_worker_finds_the_control_plane(self):
        def ask(name, kind):
            said = self.worker.execute(sys.executable, MULTICAST_DNS, "ask", name, kind).stdout
            return [line.split(" ", 2) for line in said.splitlines()]
        self.assertIn("swiftlet", self.node.execute("ss", "-Hulnp", "sport = :5353").stdout)
        instance = f"{self.node.name}._swiftlet._tcp.local"
        self.assertIn(["_swiftlet._tcp.local", "12", instance], ask("_swiftlet._tcp.local", "PTR"))
        name = f"avahi-{self.node.name}.local"
        until(lambda: [name, "1", self.node.address] in ask(name, "A"), 20, "the other program's answer")
        self.disturb(lambda: self.node.move(f"{self.network.prefix}.204"))
        self.check_all_is_well("beside another responder")


class NarrowLinkTests(MovingTestCase):
    def prepare(self, machine):
        machine.ip("link", "set", "eth0", "mtu", "1400")

    def test_pods_use_what_the_link_takes_and_workers_map_ports(self):
        self.node.import_test_image()
        # A megabyte, from the worker to a pod on the other machine and to the machine itself.
        serve = "mkdir /tmp/w; dd if=/dev/zero of=/tmp/w/zeros bs=1024 count=1024; httpd -f -p 8080 -h /tmp/w"
        self.start_pod("server", serve, nodeName=self.worker.name,
                       container={"ports": [{"containerPort": 8080, "hostPort": 18080}]})
        self.start_pod("near", nodeName=self.node.name)
        address = self.node.json("get", "pod", "server")["status"]["podIP"]
        for pod in ("server", "near"):
            self.assertEqual(self.node.kubectl("exec", pod, "--", "cat", "/sys/class/net/eth0/mtu").stdout, "1400\n")

        def count():
            said = self.node.kubectl("exec", "near", "--", "sh", "-c",
                                     f"wget -q -O - http://{address}:8080/zeros | wc -c", check=False).stdout
            return said.strip() == str(1 << 20)
        until(count, 30, "a megabyte from pod to pod")
        got = self.node.execute("curl", "--silent", "--fail", "--max-time", "20", "--output", "/dev/null", "--write-out",
                                "%{size_download}", f"http://{self.worker.address}:18080/zeros").stdout
        self.assertEqual(got, str(1 << 20))


class LonelyTests(unittest.TestCase):
    """Machines without a network, or with a poor one."""

    def machine(self):
        node = Node()
        self.addCleanup(node.remove)
        return node

    def check_works(self, node):
        node.import_test_image()
        node.apply(NodeTestCase.pod(self, "lonely", "echo hello; sleep 100000"))
        node.kubectl("wait", "--for=condition=Ready", "pod/lonely", "--timeout=30s")
        self.assertEqual(node.kubectl("logs", "lonely").stdout, "hello\n")
        self.assertEqual(node.kubectl("exec", "lonely", "--", "echo", "alive").stdout, "alive\n")

    def test_a_machine_without_any_address_is_a_node_and_takes_one_when_it_comes(self):
        node = self.machine()
        network, address = node.network, node.address
        node.disconnect()
        node.start()
        self.check_works(node)
        container = node.json("get", "pod", "lonely")["status"]["containerStatuses"][0]["containerID"]
        node.connect(network, address)
        until(lambda: any(a["address"] == address for a in
                          node.json("get", "node", node.name)["status"]["addresses"]), 30, "the address in the Node")
        until(lambda: node.json("get", "endpoints", "kubernetes")["subsets"][0]["addresses"][0]["ip"] == address, 20,
              "the endpoint of the service kubernetes")
        self.assertEqual(node.kubectl("exec", "lonely", "--", "echo", "alive").stdout, "alive\n")
        self.assertEqual(node.json("get", "pod", "lonely")["status"]["containerStatuses"][0]["containerID"], container)
        # The certificate is for the new address already.
        node.execute("curl", "--silent", "--fail", "--cacert", f"{node.directory}/state/pki/ca.crt",
                     f"https://{address}:16443/livez")

    def test_a_machine_without_a_default_route_is_a_node(self):
        node = self.machine()
        node.ip("route", "delete", "default")
        node.start()
        self.check_works(node)
        addresses = node.json("get", "node", node.name)["status"]["addresses"]
        self.assertIn({"type": "InternalIP", "address": node.address}, addresses)


if __name__ == "__main__":
    unittest.main()
