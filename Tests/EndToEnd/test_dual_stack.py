# SPDX-License-Identifier: Apache-2.0
"""Pods with an IPv4 and an IPv6 address, on one node and on several."""

import ipaddress
import json
import re
import socket
import struct
import unittest

from node import Node, NodeTestCase, make_network, run, until

RANGES = "10.42.0.0/16,fd42::/56"
LINK = "fd00:e2e"


def announce(link, prefix):
    """Tells the machines on a link of a router and of a prefix for addresses (RFC 4861, 4.2 and 4.6.2)."""
    header = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    option = struct.pack("!BBBBIII16s", 3, 4, 64, 0xC0, 3600, 3600, 0, ipaddress.IPv6Address(prefix).packed)
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as router:
        # Whoever gets it with fewer hops left knows that it came from elsewhere.
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        router.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(link))
        router.sendto(header + option, ("ff02::1", 0, 0, socket.if_nametoindex(link)))


def without_ipv6(machine, *arguments):
    """Runs swiftlet as on a kernel without IPv6."""
    return machine.execute("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc/sys/net/ipv6 && exec "$@"', "sh",
                           machine.binaries / "swiftlet", *arguments, "--config", machine.configuration, check=False)


class DualStackTestCase(NodeTestCase):
    """Tests with a control plane that gives pods two addresses."""

    @classmethod
    def setUpClass(cls):
        cls.network = make_network()
        run("ip", "address", "add", f"{LINK}::1/64", "dev", cls.network.link, "nodad")
        cls.node = Node(cls.network)
        cls.addClassCleanup(cls.node.remove)
        cls.node.pod_ranges = RANGES
        cls.node.write_configuration()
        cls.plug(cls.node)
        cls.node.start()
        cls.node.import_test_image()

    @staticmethod
    def plug(machine):
        """Gives a machine an IPv6 address on its link."""
        machine.ip("address", "add", f"{DualStackTestCase.address_v6(machine)}/64", "dev", "eth0", "nodad")

    @staticmethod
    def address_v6(machine):
        return f"{LINK}::{machine.address.rsplit('.', 1)[1]}"

    def worker(self, network=None, has_v6=True):
        board = Node(network or self.network)
        self.addCleanup(self.node.kubectl, "delete", "node", board.name, check=False)
        self.addCleanup(board.remove)
        self.addCleanup(self.show_log_of_failure, board)
        if has_v6:
            self.plug(board)
        board.start()
        board.swiftlet("join", self.line())
        board.import_test_image()
        return board

    def line(self, beginning=""):
        """The first join line whose place begins so."""
        lines = json.loads(self.node.swiftlet("add-node", "--format", "json").stdout)["lines"]
        return next(line for line in lines if line.startswith(beginning))

    def await_readiness(self, board):
        until(lambda: self.node.kubectl("get", "node", board.name, "-o", "jsonpath={.status.conditions[?(@.type=='Ready')]"
                                        ".status}", check=False).stdout == "True", 30, "the worker's readiness")

    def heartbeat(self, board):
        return self.node.json("get", "lease", "-n", "kube-node-lease", board.name)["spec"]["renewTime"]

    def addresses(self, pod):
        """A pod's addresses, IPv4 and IPv6."""
        status = self.node.json("get", "pod", pod)["status"]
        both = [entry["ip"] for entry in status["podIPs"]]
        self.assertEqual(both[0], status["podIP"])
        self.assertEqual([ipaddress.ip_address(a).version for a in both], [4, 6])
        return both

    def internal_addresses(self, name):
        return [a["address"] for a in self.node.json("get", "node", name)["status"]["addresses"]
                if a["type"] == "InternalIP"]

    def start_pair(self, board):
        """A pod on each node, which both serve a page; their names."""
        pair = [f"near-{board.name}", f"far-{board.name}"]
        for name, node in zip(pair, (self.node, board)):
            self.addCleanup(self.node.kubectl, "delete", "pod", name, "--force", "--grace-period=0",
                            check=False)
            self.start_pod(name, f"echo I am {name} > /tmp/index.html; httpd -f -p 8080 -h /tmp", nodeName=node.name)
        return pair

    def reaches(self, source, address, name):
        host = f"[{address}]" if ":" in address else address
        return self.node.kubectl("exec", source, "--", "wget", "-q", "-O", "-", f"http://{host}:8080/",
                                 check=False).stdout == f"I am {name}\n"

    def check_pair(self, pair, what):
        """Both pods reach each other by both families, soon."""
        for source, target in (pair, pair[::-1]):
            for address in self.addresses(target):
                until(lambda: self.reaches(source, address, target), 60, f"{source} reaching {address} {what}")
        self.assertIn(" 0% packet loss",
                      self.node.kubectl("exec", pair[0], "--", "ping", "-c", "1", self.addresses(pair[1])[1]).stdout)

    @staticmethod
    def route_v6(machine, peer_range):
        """The route to another node's IPv6 range."""
        lines = machine.ip("-6", "route", "show", "proto", "83").stdout.splitlines()
        return next((line for line in lines if line.startswith(peer_range + " ")), "")


class OneNodeTests(DualStackTestCase):
    def test_the_objects_tell_of_both_families(self):
        node = self.node.json("get", "node", self.node.name)
        self.assertEqual(node["spec"]["podCIDRs"], ["10.42.0.0/24", "fd42::/64"])
        self.assertEqual(node["spec"]["podCIDR"], "10.42.0.0/24")
        self.assertEqual(self.internal_addresses(self.node.name), [self.node.address, self.address_v6(self.node)])

        def field(name, path):
            return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}
        fields = [field("PODS", "status.podIPs"), field("HOSTS", "status.hostIPs"), field("POD", "status.podIP")]
        self.start_pod("told", container={"env": fields})
        both = self.addresses("told")
        self.assertTrue(both[0].startswith("10.42.0.") and both[1].startswith("fd42::"), both)
        status = self.node.json("get", "pod", "told")["status"]
        self.assertEqual([e["ip"] for e in status["hostIPs"]], [self.node.address, self.address_v6(self.node)])
        said = self.node.kubectl("exec", "told", "--", "sh", "-c", "echo $POD $PODS $HOSTS; cat /etc/hosts").stdout
        self.assertEqual(said.splitlines()[0],
                         f"{both[0]} {','.join(both)} {self.node.address},{self.address_v6(self.node)}")
        for address in both:
            self.assertIn(f"{address}\ttold\n", said)
        # A pod on the host's network has the host's addresses.
        self.start_pod("hosted", hostNetwork=True)
        self.assertEqual(self.addresses("hosted"), [self.node.address, self.address_v6(self.node)])

    def test_ports_of_the_host_and_the_way_out(self):
        self.start_pod("served", "echo mapped > /tmp/index.html; httpd -f -p 8080 -h /tmp",
                       container={"ports": [{"containerPort": 8080, "hostPort": 8088}]})
        for host in (self.node.address, f"[{self.address_v6(self.node)}]"):
            self.assertEqual(run("curl", "-gsm", "5", f"http://{host}:8088/").stdout, "mapped\n", host)
        # Nobody outside knows the pods' addresses: they go out by the node's.
        self.assertIn(" 0% packet loss",
                      self.node.kubectl("exec", "served", "--", "ping", "-c", "1", f"{LINK}::1").stdout)

    def test_a_crash_gives_no_address_twice(self):
        names = [f"steady-{number}" for number in range(3)]
        for name in names:
            self.start_pod(name)
        before = [self.addresses(name) for name in names]
        self.node.stop(9)
        self.node.start()
        self.start_pod("later")
        self.assertEqual([self.addresses(name) for name in names], before)
        everybody = sum(before + [self.addresses("later")], [])
        self.assertEqual(len(set(everybody)), 8)

    def test_routers_are_still_listened_to(self):
        def route():
            return self.node.ip("-6", "route", "show", "default").stdout
        until(lambda: "tentative" not in run("ip", "address", "show", "dev", self.network.link).stdout, 10,
              "the router's address")
        self.assertEqual(self.node.execute("cat", "/proc/sys/net/ipv6/conf/all/forwarding").stdout, "1\n")
        announce(self.network.link, "fd00:e2f::")
        until(lambda: "proto ra" in route(), 10, "the default route")
        # The node's address stays the first of the link in order; what comes from the router is another one of it.
        until(lambda: "fd00:e2f:" in self.node.ip("address", "show", "dev", "eth0").stdout, 10, "the address")
        # The agent begins anew, and its node keeps its way out.
        self.node.stop()
        self.node.start()
        self.assertIn("proto ra", route())


class SeveralNodesTests(DualStackTestCase):
    def test_directly_by_vxlan_and_through_restarts(self):
        board = self.worker()
        node = self.node.json("get", "node", board.name)
        ranges = node["spec"]["podCIDRs"]
        self.assertRegex(" ".join(ranges), r"^10\.42\.\d+\.0/24 fd42:0:0:[0-9a-f]+::/64$")
        until(lambda: self.internal_addresses(board.name) == [board.address, self.address_v6(board)], 20,
              "the worker's addresses")
        pair = self.start_pair(board)
        self.check_pair(pair, "directly")
        self.assertIn(f"via {self.address_v6(board)} dev eth0", self.route_v6(self.node, ranges[1]))
        until(lambda: "vxlan" not in self.node.ip("-o", "link").stdout, 10, "the end of other tests' tunnels")
        before = [self.addresses(name) for name in pair]
        # The agents begin anew; the ways stay meanwhile and afterwards.
        board.stop()
        self.assertTrue(self.reaches(pair[0], before[1][1], pair[1]))
        board.start(wait=False)
        self.node.stop()
        self.node.start()
        self.assertEqual([self.addresses(name) for name in pair], before)
        self.check_pair(pair, "after restarts")
        # The worker loses its IPv6 address: that family takes the tunnel, the other one not.
        board.ip("address", "delete", f"{self.address_v6(board)}/64", "dev", "eth0")
        until(lambda: "vxlan" in self.route_v6(self.node, ranges[1]), 30, "the way by VXLAN")
        self.check_pair(pair, "by VXLAN")
        self.assertIn(f"{ranges[0]} via {board.address} dev eth0", self.node.ip("route", "show", "proto", "83").stdout)
        board.stop()
        board.start(wait=False)
        self.check_pair(pair, "by VXLAN after a restart")
        self.plug(board)
        until(lambda: "dev eth0" in self.route_v6(self.node, ranges[1]), 30, "the direct way")
        self.check_pair(pair, "directly again")

    def test_a_board_joins_by_ipv6_and_goes_on_with_the_other_family(self):
        board = Node(self.network)
        self.addCleanup(self.node.kubectl, "delete", "node", board.name, check=False)
        self.addCleanup(board.remove)
        self.plug(board)
        board.ip("route", "add", "unreachable", self.node.address)
        board.start()
        board.swiftlet("join", self.line(f"[{self.address_v6(self.node)}]:"))
        self.await_readiness(board)
        # The kubelet, too, listens at both.
        self.node.execute("timeout", "10", "bash", "-c", f"exec 3<>/dev/tcp/{self.address_v6(board)}/10250")
        board.ip("route", "delete", "unreachable", self.node.address)
        board.ip("-6", "route", "add", "unreachable", self.address_v6(self.node))
        before = self.heartbeat(board)
        until(lambda: self.heartbeat(board) > before, 60, "the worker's heartbeat")

    def test_a_machine_without_ipv6_does_not_join_half(self):
        board = Node(self.network)
        self.addCleanup(self.node.kubectl, "delete", "node", board.name, check=False)
        self.addCleanup(board.remove)
        line = self.line()
        refused = without_ipv6(board, "join", line)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("ipv6.disable=1", refused.stderr)
        self.assertFalse((board.directory / "state/membership").exists())
        # The same line, on the machine as it is now.
        board.swiftlet("join", line)
        board.start(wait=False)
        self.await_readiness(board)

    def test_beyond_a_router_and_nothing_stays_after_a_reset(self):
        other = make_network()
        run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        board = self.worker(other, has_v6=False)
        pair = self.start_pair(board)
        self.check_pair(pair, "beyond a router")
        self.assertIn("swiftlet-vxlan", board.ip("-o", "link").stdout)
        self.assertEqual(board.ip("-6", "route", "show", "proto", "83").stdout.count("dev swiftlet-vxlan"), 1)
        board.stop()
        board.reset()
        links = re.findall(r"^\d+: ([^:@]+)", board.ip("-o", "link").stdout, re.MULTILINE)
        self.assertEqual(sorted(links), ["eth0", "lo"])
        left = board.ip("route", "show", "proto", "83").stdout + board.ip("-6", "route", "show", "proto", "83").stdout
        self.assertEqual(left + board.execute("nft", "list", "ruleset").stdout, "")
        for parameter, value in (("ipv4/ip_forward", "0"), ("ipv6/conf/all/forwarding", "0"),
                                 ("ipv6/conf/eth0/accept_ra", "1")):
            self.assertEqual(board.execute("cat", f"/proc/sys/net/{parameter}").stdout.strip(), value, parameter)


class SingleStackTests(NodeTestCase):
    """Without an IPv6 range nothing of it is there, although the machine has an IPv6 address."""

    @classmethod
    def setUpClass(cls):
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        DualStackTestCase.plug(cls.node)
        cls.node.start()
        cls.node.import_test_image()

    def test_nothing_tells_of_ipv6(self):
        node = self.node.json("get", "node", self.node.name)
        self.assertEqual(node["spec"]["podCIDRs"], ["10.1.0.0/24"])
        self.assertEqual([a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"],
                         [self.node.address])
        self.start_pod("plain")
        status = self.node.json("get", "pod", "plain")["status"]
        self.assertEqual(json.dumps(status["podIPs"] + status["hostIPs"]).count('"ip"'), 2)
        self.assertNotIn("scope global", self.node.ip("-6", "address", "show", "dev", "swiftlet0").stdout)
        for parameter, value in (("all/forwarding", "0"), ("eth0/accept_ra", "1"), ("swiftlet0/accept_ra", "0")):
            self.assertEqual(self.node.execute("cat", f"/proc/sys/net/ipv6/conf/{parameter}").stdout.strip(), value)
        self.assertNotIn("ip6", self.node.execute("nft", "list", "table", "inet", "swiftlet").stdout)


class ChangeTests(NodeTestCase):
    """A configuration that gets an IPv6 range later, and ones that cannot be used."""

    def give(self, ranges):
        """Stops the agent and gives it other ranges for its next start."""
        self.node.stop()
        self.node.pod_ranges = ranges
        self.node.write_configuration()

    def test_a_range_that_comes_later(self):
        def status(pod):
            return self.node.json("get", "pod", pod)["status"]

        def identity(pod):
            container = status(pod)["containerStatuses"][0]
            return container["containerID"], container["restartCount"], status(pod)["podIPs"]
        self.start_pod("early")
        before = identity("early")
        self.give("10.1.0.0/16,fd42::/56")
        self.node.start()
        self.assertEqual(identity("early"), before)
        # What the node has it keeps.
        self.assertEqual(self.node.json("get", "node", self.node.name)["spec"]["podCIDRs"], ["10.1.0.0/24"])
        # Its object comes again.
        self.node.kubectl("delete", "node", self.node.name)
        self.node.stop()
        self.node.start()
        until(lambda: self.node.json("get", "node", self.node.name)["spec"].get("podCIDRs") ==
              ["10.1.0.0/24", "fd42::/64"], 20, "the ranges of both families")
        self.start_pod("late")
        self.assertEqual(len(status("late")["podIPs"]), 2)
        self.assertEqual(identity("early"), before)

    def test_ranges_that_cannot_be_used_are_said(self):
        self.addCleanup(self.node.start)
        self.addCleanup(self.give, "")
        self.give(RANGES)
        for arguments in (("run",), ("check",)):
            refused = without_ipv6(self.node, *arguments)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn("The kernel has no IPv6", refused.stdout + refused.stderr)
        for ranges, words in (("fd42::/56", "network.clusterCIDR"), ("10.42.0.0/16,fd42::/40", "48 to 64 bits")):
            self.give(ranges)
            refused = self.node.swiftlet("run", check=False)
            self.assertNotEqual(refused.returncode, 0)
            self.assertIn(words, refused.stdout + refused.stderr)


if __name__ == "__main__":
    unittest.main()
