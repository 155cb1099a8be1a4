# SPDX-License-Identifier: Apache-2.0
"""Several nodes on one machine: each agent in a network namespace of its own on a common bridge, with its own state,
cgroup parent and addresses. scripts/cluster and the end-to-end tests use it."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


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


class Network:
    """A link that machines share: a bridge, where the host has the first address."""

    def __init__(self, link, prefix):
        """`link`: the bridge's name, at most 11 characters. `prefix`: of a /24, such as 10.90.0."""
        self.link = link
        self.prefix = prefix

    def create(self):
        run("ip", "link", "add", self.link, "type", "bridge")
        run("ip", "address", "add", f"{self.prefix}.1/24", "dev", self.link)
        run("ip", "link", "set", self.link, "up")
        return self

    def remove(self):
        run("ip", "link", "delete", self.link, check=False)


class Node:
    """One machine with an agent. `start` and `stop` as often as wanted; `remove` at the end."""

    def __init__(self, name, number, network, directory, binaries):
        """`number`: 1 to 99, its address and the name of its link on the network come from it."""
        self.name = self.namespace = name
        self.network = network
        self.address = f"{network.prefix}.{number + 100}"
        self.link = f"{network.link}v{number}"
        self.directory = pathlib.Path(directory)
        self.binaries = pathlib.Path(binaries)
        self.cgroup = f"/swiftlet-{name}"
        self.bridge = "swiftlet0"
        self.table = "swiftlet"
        # network.clusterCIDR; the default where it is empty.
        self.pod_ranges = ""
        self.log = self.directory / "agent.log"
        self.process = None
        # Where the agent logs to instead of a file: something with `stream(identifier)`, see Tests/EndToEnd/journal.py.
        self.journal = None
        # What the agent's environment has more than this process's: by default no system bus, because the machine's own
        # does not concern nodes that live and die on it.
        self.environment = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"}
        # Not `ip netns exec`: it mounts a new /sys and so hides the cgroups.
        self.enter = ("nsenter", f"--net=/run/netns/{self.namespace}")

    def create(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        run("ip", "netns", "add", self.namespace)
        run("ip", "-n", self.namespace, "link", "set", "lo", "up")
        self.connect(self.network, self.address)
        self.write_configuration()
        return self

    def connect(self, network, address, default_route=True):
        """Plugs the machine into a network."""
        self.network, self.address = network, address
        run("ip", "link", "add", self.link, "type", "veth", "peer", "name", "eth0", "netns", self.namespace)
        run("ip", "link", "set", self.link, "master", network.link, "up")
        self.ip("address", "add", f"{address}/24", "dev", "eth0")
        self.ip("link", "set", "eth0", "up")
        if default_route:
            self.ip("route", "add", "default", "via", f"{network.prefix}.1")

    def disconnect(self):
        run("ip", "link", "delete", self.link)

    def move(self, address):
        """Gives the machine another address in place of the one that it has, as DHCP does it."""
        self.ip("address", "delete", f"{self.address}/24", "dev", "eth0")
        self.ip("address", "add", f"{address}/24", "dev", "eth0")
        self.ip("route", "replace", "default", "via", f"{self.network.prefix}.1")
        self.address = address

    def ip(self, *arguments):
        """Runs ip(8) in the machine's network namespace."""
        return run("ip", "-n", self.namespace, *arguments)

    @property
    def configuration(self):
        return self.directory / "config.yaml"

    @property
    def kubeconfig(self):
        return self.directory / "etc/admin.kubeconfig"

    def write_configuration(self, extra=""):
        self.configuration.write_text(
            f"""\
nodeName: {self.name}
directories:
  state: {self.directory}/state
  run: {self.directory}/run
  logs: {self.directory}/logs
  configuration: {self.directory}/etc
  executables: {self.binaries}
kubelet: {{cgroupRoot: {self.cgroup}}}
network:
  bridge: {self.bridge}
  table: {self.table}
  clusterCIDR: {self.pod_ranges or "10.1.0.0/16"}
images:
  registries:
    127.0.0.1:5000: {{insecure: true}}
{extra}""")

    # Life

    def start(self, wait=True):
        environment = {**os.environ, **self.environment}
        if self.journal is None:
            log = open(self.log, "a")
        else:
            log, environment["JOURNAL_STREAM"] = self.journal.stream("swiftlet")
        with log:
            self.process = subprocess.Popen(
                [*self.enter, str(self.binaries / "swiftlet"), "run", "--config", str(self.configuration)],
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True, env=environment)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=60):
        """Waits until the node of a machine with a control plane is ready."""
        def ready():
            if self.process is not None and self.process.poll() is not None:
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

    def agent(self):
        """The agent's process number, None where none runs."""
        try:
            number = int((self.directory / "run/agent.pid").read_text().split()[0])
            os.kill(number, 0)
            return number
        except (OSError, ValueError, IndexError):
            return None

    def stop(self, how=signal.SIGTERM):
        """Ends the agent alone; its containers go on."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=60)
            self.process = None
        elif (number := self.agent()) is not None:
            os.kill(number, how)
            until(lambda: self.agent() is None, 60, "the agent's end")

    def cut_power(self):
        """Kills everything at once and forgets what a reboot forgets."""
        self.stop(signal.SIGKILL)
        self.reset("--keep-data")

    def reset(self, *options, check=True):
        """Removes what the stopped node left: containers, mounts, network, cgroups and data."""
        return self.swiftlet("reset", "--yes", *options, check=check)

    def remove(self):
        if self.directory is None:
            return
        try:
            self.stop(signal.SIGKILL)
        except (subprocess.SubprocessError, AssertionError):
            pass
        # Whatever it says, the rest is removed as well.
        outcome = self.reset(check=False)
        if outcome.returncode != 0:
            print(f"{self.name}: {outcome.stderr}", file=sys.stderr)
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
        return self.execute(self.binaries / "swiftlet", *arguments, "--config", self.configuration, **options)

    def json(self, *arguments):
        return json.loads(self.kubectl(*arguments, "-o", "json").stdout)

    def apply(self, manifest, *arguments):
        return self.kubectl("apply", *arguments, "-f", "-", input=manifest)
