# SPDX-License-Identifier: Apache-2.0
"""A node for tests: the built agent in a network namespace of its own, with its own state, cgroup parent and addresses.

Everything is removed when the test process ends, also when it fails."""

import atexit
import itertools
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("SWIFTLET_BIN", ROOT / ".build/debug"))
IMAGE = "docker.io/swiftlet/test:1"

_numbers = itertools.count(1)


def run(*command, check=True, **options):
    """Runs a command and gives its completed process; a failure shows what it printed."""
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if check and result.returncode != 0:
        raise AssertionError(
            f"{' '.join(str(part) for part in command)} ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result


def until(condition, timeout=30, what="condition"):
    """Waits until condition() is true and gives what it gave."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {timeout} s")
        time.sleep(0.05)


class Node:
    """One agent. `start` and `stop` as often as wanted; `remove` at the end."""

    def __init__(self):
        number = next(_numbers)
        self.name = f"e2e-{os.getpid() % 100000}-{number}"
        self.namespace = self.name
        self.link = f"e2e{os.getpid() % 10000}v{number}"
        self.subnet = f"10.{100 + number % 100}.{os.getpid() % 250}"
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-e2e-"))
        self.cgroup = f"/swiftlet-{self.name}"
        self.bridge = f"e2b{os.getpid() % 10000}n{number}"
        self.table = f"swiftlet-{self.name}"
        self.log = self.directory / "agent.log"
        self.process = None
        # Not `ip netns exec`: it mounts a new /sys and so hides the cgroups.
        self.enter = ("nsenter", f"--net=/run/netns/{self.namespace}")
        atexit.register(self.remove)
        run("ip", "netns", "add", self.namespace)
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "address", "add", f"{self.subnet}.1/24", "dev", self.link)
        run("ip", "link", "set", self.link, "up")
        inside = ("ip", "-n", self.namespace)
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "address", "add", f"{self.subnet}.2/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", f"{self.subnet}.1")
        self.write_configuration()

    @property
    def kubeconfig(self):
        return self.directory / "etc/admin.kubeconfig"

    def write_configuration(self, extra=""):
        (self.directory / "config.yaml").write_text(
            f"""\
nodeName: {self.name}
directories:
  state: {self.directory}/state
  run: {self.directory}/run
  logs: {self.directory}/logs
  configuration: {self.directory}/etc
  executables: {BIN}
kubelet: {{cgroupRoot: {self.cgroup}}}
network: {{bridge: {self.bridge}, table: {self.table}}}
images:
  registries:
    127.0.0.1:5000: {{insecure: true}}
{extra}""")

    # Life

    def start(self, wait=True):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                [*self.enter, str(BIN / "swiftlet"), "run", "--config", str(self.directory / "config.yaml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                start_new_session=True)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"the agent ended with {self.process.returncode}:\n{self.log_tail()}")
            result = self.kubectl("get", "node", self.name, "-o",
                                  "jsonpath={.status.conditions[?(@.type=='Ready')].status}", check=False)
            return result.stdout == "True"
        try:
            until(ready, timeout, "the node's readiness")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log_tail()}") from None

    def log_tail(self, lines=40):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def stop(self, how=signal.SIGTERM):
        """Ends the agent alone; its containers go on."""
        if self.process is None:
            return
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.process = None

    def cut_power(self):
        """Kills everything at once and forgets what a reboot forgets."""
        self.stop(signal.SIGKILL)
        self.reset(keep_state=True)

    def reset(self, keep_state=False):
        state = self.directory / ("nothing" if keep_state else "state")
        run(*self.enter, ROOT / "scripts/lib/reset", state, self.directory / "run",
            self.cgroup, self.bridge, self.table, self.directory / ("nothing" if keep_state else "logs"), check=False)
        if keep_state:
            mounts = [line.split()[4] for line in open("/proc/self/mountinfo") if f" {self.directory}/state/" in line]
            for mount in sorted(mounts, reverse=True):
                run("umount", "-l", mount, check=False)

    def remove(self):
        if self.directory is None:
            return
        try:
            self.stop(signal.SIGKILL)
        except subprocess.SubprocessError:
            pass
        self.reset()
        run("ip", "link", "delete", self.link, check=False)
        run("ip", "netns", "delete", self.namespace, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory = None

    # Tools

    def execute(self, *command, **options):
        """Runs a command in the node's network namespace."""
        return run(*self.enter, *command, **options)

    def kubectl(self, *arguments, **options):
        return self.execute("kubectl", "--kubeconfig", self.kubeconfig, *arguments, **options)

    def swiftlet(self, *arguments, **options):
        return self.execute(BIN / "swiftlet", *arguments, "--config", self.directory / "config.yaml", **options)

    def json(self, *arguments):
        return json.loads(self.kubectl(*arguments, "-o", "json").stdout)

    def apply(self, manifest, *arguments):
        return self.kubectl("apply", *arguments, "-f", "-", input=manifest)

    def import_test_image(self):
        archive = ROOT / ".build" / "test-image.tar"
        archive.parent.mkdir(exist_ok=True)
        if not archive.exists():
            run(ROOT / "scripts/make-demo-image", "--name", IMAGE, "--output", archive)
        self.swiftlet("images", "import", archive)


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

    def show_log_of_failure(self):
        outcome = getattr(self, "_outcome", None)
        if outcome is not None and not outcome.success:
            print(f"\n--- the agent's log at the end of {self.id()}\n{self.node.log_tail()}\n---")

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
