# SPDX-License-Identifier: Apache-2.0
"""What the agent costs: its start, its rest, and each pod that it looks after."""

import contextlib
import json
import signal
import ssl
import statistics
import subprocess
import tempfile
import time

from connection import Access, cpu_seconds, processes, pss, written_bytes
from node import IMAGE, Node, until

COLD_STARTS = 5
# Long enough that what happens every ten seconds counts as often as it should.
IDLE_SECONDS = 120
# Longer than the ten minutes between two checkpoints of what the store keeps in memory.
DISK_SECONDS = 660
SETTLE_SECONDS = 45
PODS = 20


@contextlib.contextmanager
def running_node():
    node = Node()
    try:
        yield node.start()
    finally:
        node.remove()


def cold_start():
    """Medians of several first starts, each with an empty state directory."""
    ready, account = [], []
    for _ in range(COLD_STARTS):
        node = Node()
        try:
            times = first_start(node)
        finally:
            node.remove()
        ready.append(times["ready"])
        account.append(times["account"])
    return {"ready": statistics.median(ready), "service-account": statistics.median(account)}


def first_start(node):
    began = time.monotonic()
    node.start(wait=False)
    connection = until(lambda: first_connection(node), 60, "the API server's first answer")

    def node_is_ready():
        status, body = connection.send("GET", f"/api/v1/nodes/{node.name}")
        return status == 200 and any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for condition in json.loads(body)["status"].get("conditions", []))

    def account_is_there():
        return connection.send("GET", "/api/v1/namespaces/default/serviceaccounts/default")[0] == 200

    waiting, times = {"ready": node_is_ready, "account": account_is_there}, {}
    while waiting:
        for name in list(waiting):
            if waiting[name]():
                times[name] = time.monotonic() - began
                del waiting[name]
        if time.monotonic() - began > 60:
            raise RuntimeError(f"not reached in 60 s: {' '.join(waiting)}\n{node.log_tail()}")
        time.sleep(0.005)
    return times


def first_connection(node):
    """A connection as soon as the server takes one; the caller tries again."""
    try:
        return Access(node).connect()
    except (OSError, AttributeError, ssl.SSLError):
        return None  # No kubeconfig yet, an unfinished one, or nobody listens.


def idle():
    """A node without pods that has come to rest."""
    with running_node() as node:
        time.sleep(SETTLE_SECONDS)
        agent = node.process.pid
        cpu = cpu_seconds(agent)
        time.sleep(IDLE_SECONDS)
        cpu = cpu_seconds(agent) - cpu
        memory = pss(processes(node))
        # Only now: being traced costs time.
        written = written_bytes(agent)
        syncs = count_syncs(agent, DISK_SECONDS)
        written = written_bytes(agent) - written
        return {"pss": memory, "cpu": 100 * cpu / IDLE_SECONDS, "written": written * 3600 / DISK_SECONDS / 2**20,
                "fsyncs": syncs * 60 / DISK_SECONDS}


def count_syncs(pid, seconds):
    """How often a process and its threads ask for data to be on disk."""
    with tempfile.NamedTemporaryFile() as output:
        tracer = subprocess.Popen(
            ["strace", "-f", "-q", "-p", str(pid), "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range,msync",
             "-o", output.name], stderr=subprocess.PIPE, text=True)
        time.sleep(seconds)
        if tracer.poll() is not None:
            raise RuntimeError(f"strace ended with {tracer.returncode}: {tracer.stderr.read()}")
        tracer.send_signal(signal.SIGINT)
        tracer.wait(timeout=10)
        return sum(1 for line in open(output.name) if "sync" in line and "resumed" not in line)


def pod_memory():
    """The growth of the agent and all monitors by many pods, for one of them."""
    with running_node() as node:
        node.import_test_image()
        node.apply(deployment("warm", 1))
        node.kubectl("rollout", "status", "deployment/warm", "--timeout=60s")
        time.sleep(10)
        before = pss(processes(node))
        node.apply(deployment("many", PODS))
        node.kubectl("rollout", "status", "deployment/many", "--timeout=120s")
        time.sleep(15)
        return {"pss": (pss(processes(node)) - before) / PODS}


def deployment(name, replicas):
    return json.dumps({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": {"terminationGracePeriodSeconds": 1, "containers": [
                {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "100000"]}]}}}})
