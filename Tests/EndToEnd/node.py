# SPDX-License-Identifier: Apache-2.0
"""Nodes for tests: the built agent in a network namespace of its own, with its own state, cgroup parent and addresses.

Everything is removed when the test process ends, also when it fails."""

import atexit
import itertools
import json
import os
import pathlib
import secrets
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))

import images  # noqa: E402
import nodes  # noqa: E402
from nodes import Network, run, until  # noqa: E402,F401

BIN = pathlib.Path(os.environ.get("SWIFTLET_BIN", ROOT / ".build/debug"))
IMAGE = images.TEST

# In the names of what the tests make outside their namespaces; a process id is not one of its own in a process namespace.
_RUN = secrets.token_hex(2)
_networks = itertools.count(1)
_nodes = itertools.count(1)


def make_network():
    """A network of its own; it goes with the test process."""
    number = next(_networks)
    network = Network(f"e2e{number}", f"10.{100 + number % 100}.7").create()
    atexit.register(network.remove)
    return network


class Node(nodes.Node):
    """A node on a network, by default one of its own; it goes with the test process."""

    def __init__(self, network=None):
        number = next(_nodes)
        super().__init__(f"e2e-{_RUN}-{number}", number % 100, network or make_network(),
                         tempfile.mkdtemp(prefix="swiftlet-e2e-"), BIN)
        atexit.register(self.remove)
        self.create()

    def import_test_image(self):
        self.swiftlet("images", "import", images.test())


class NodeTestCase(unittest.TestCase):
    """Tests that share one node."""

    node: Node

    @classmethod
    def setUpClass(cls):
        cls.node = Node().start()
        cls.addClassCleanup(cls.node.remove)
        cls.node.import_test_image()

    def setUp(self):
        self.addCleanup(self.show_log_of_failure)

    def show_log_of_failure(self, node=None):
        outcome = getattr(self, "_outcome", None)
        if outcome is not None and not outcome.success:
            node = node or self.node
            print(f"\n--- the log of {node.name} at the end of {self.id()}\n{node.log_tail()}\n---")

    def pod(self, name, command="sleep 100000", **spec):
        """A manifest of a pod with one container."""
        container = {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command]}
        container.update(spec.pop("container", {}))
        body = {"terminationGracePeriodSeconds": 1, "containers": [container]}
        body.update(spec)
        return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
                           "spec": body})

    def start_pod(self, name, command="sleep 100000", **spec):
        self.node.apply(self.pod(name, command, **spec))
        self.node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")

    def finished_pod(self, name, command, **spec):
        """Runs a pod to its end and gives its phase and log."""
        self.node.apply(self.pod(name, command, restartPolicy="Never", **spec))
        phase = until(lambda: (p := self.node.json("get", "pod", name)["status"].get("phase")) in
                      ("Succeeded", "Failed") and p, 30, f"the end of pod {name}")
        return phase, self.node.kubectl("logs", name).stdout
