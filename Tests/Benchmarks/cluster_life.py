# SPDX-License-Identifier: Apache-2.0
"""What a cluster of several nodes costs: joining, an idle worker, and what its control plane holds, does and writes."""

import contextlib
import statistics
import time

from agent_life import DISK_SECONDS, IDLE_SECONDS, SETTLE_SECONDS
from connection import cpu_seconds, processes, rss, written_bytes
from node import Node, make_network

JOINS = 5
WORKERS = 2
FLOCK = 20


@contextlib.contextmanager
def cluster():
    """A control plane, and a function that gives boards which have joined nothing yet."""
    network, nodes = make_network(), []

    def board():
        nodes.append(Node(network))
        return nodes[-1].start()
    try:
        yield board(), board
    finally:
        for node in reversed(nodes):
            node.remove()


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
        memory = rss(processes(workers[0]))
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
        return {"memory": rss(processes(server)), "cpu": 100 * (cpu_seconds(agent) - cpu) / IDLE_SECONDS}
