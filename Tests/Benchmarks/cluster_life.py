# SPDX-License-Identifier: Apache-2.0
"""What a cluster of several nodes costs: joining, an idle worker, and what its control plane holds, does and writes."""

import contextlib
import pathlib
import shutil
import statistics
import subprocess
import tempfile
import time

from agent_life import DISK_SECONDS, IDLE_SECONDS, SETTLE_SECONDS
from connection import cpu_seconds, processes, pss, written_bytes
from node import Node, make_network

JOINS = 5
WORKERS = 2
FLOCK = 20


@contextlib.contextmanager
def cluster():
    """A control plane, and a function that gives boards which have joined nothing yet.

    The control plane and the first board have programs of their own: nodes that run the same files share their pages, and
    would seem to hold less than each of them does on a machine of its own."""
    network, nodes, copies = make_network(), [], []

    def board():
        node = Node(network)
        nodes.append(node)
        if len(nodes) <= 2:
            copies.append(own_programs(node))
        return node.start()
    try:
        yield board(), board
    finally:
        for node in reversed(nodes):
            node.remove()
        for directory in copies:
            shutil.rmtree(directory)


def own_programs(node):
    """Copies a node's programs, as if they had been read from the disk; see scripts/bench."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-bench-"))
    for name in ("swiftlet", "swiftlet-launcher"):
        shutil.copy(node.binaries / name, directory / name)
        subprocess.run(["dd", "if=/dev/null", f"of={directory / name}", "conv=notrunc,fsync", "status=none"], check=True)
        subprocess.run(["dd", f"if={directory / name}", "iflag=nocache", "count=0", "status=none"], check=True)
    node.binaries = directory
    node.write_configuration()
    return directory


def line(server):
    return server.swiftlet("add-node", "--format", "short").stdout.strip()


def join():
    """From `swiftlet join` on a board with a running agent to its end, which is the node's readiness; medians."""
    times = []
    with cluster() as (server, board):
        for _ in range(JOINS):
            node, invitation = board(), line(server)
            began = time.monotonic()
            node.swiftlet("join", invitation)
            times.append(time.monotonic() - began)
    return {"ready": statistics.median(times)}


def worker():
    """A control plane and its workers that have come to rest."""
    with cluster() as (server, board):
        workers = [board() for _ in range(WORKERS)]
        for node in workers:
            node.swiftlet("join", line(server))
        time.sleep(SETTLE_SECONDS)
        agent, control_plane = workers[0].process.pid, server.process.pid
        cpu = cpu_seconds(agent)
        time.sleep(IDLE_SECONDS)
        cpu = cpu_seconds(agent) - cpu
        memory = pss(processes(workers[0]))
        written = {pid: written_bytes(pid) for pid in (agent, control_plane)}
        time.sleep(DISK_SECONDS)
        per_hour = {pid: (written_bytes(pid) - before) * 3600 / DISK_SECONDS / 2**20 for pid, before in written.items()}
        return {"memory": memory, "cpu": 100 * cpu / IDLE_SECONDS, "worker-written": per_hour[agent],
                "server-written": per_hour[control_plane]}


def flock():
    """A control plane with many workers that have come to rest."""
    with cluster() as (server, board):
        for _ in range(FLOCK):
            board().swiftlet("join", line(server))
        time.sleep(SETTLE_SECONDS)
        agent = server.process.pid
        cpu = cpu_seconds(agent)
        time.sleep(IDLE_SECONDS)
        return {"memory": pss(processes(server)), "cpu": 100 * (cpu_seconds(agent) - cpu) / IDLE_SECONDS}
