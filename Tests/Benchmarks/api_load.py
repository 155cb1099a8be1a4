# SPDX-License-Identifier: Apache-2.0
"""Load on the API server: reads by wrk, writes and watches by processes of our own."""

import contextlib
import json
import multiprocessing
import re
import selectors
import ssl
import statistics
import time

from agent_life import running_node
from connection import Access, config_map, processes, pss

RUNS = 3
WRITERS = 16
CREATES = 4000
WATCHERS = 100
UPDATES = 500
WATCHED = 10
STORED = 5000
WRK = ("wrk", "-t2", "-c16", "-d15s", "--latency", "--timeout", "30s")
UNITS = {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}


@contextlib.contextmanager
def serving(namespace):
    """A node with a namespace, and how to reach it."""
    with running_node() as node:
        access = Access(node)
        access.connect().call(
            "POST", "/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        yield node, access, f"/api/v1/namespaces/{namespace}/configmaps"


def in_parallel(function, *arguments):
    """Runs a function in 16 processes that begin at the same moment; each gives a list of seconds.

    The result: the time of all together, and all the lists in one."""
    begin, ready, results = multiprocessing.Event(), multiprocessing.Queue(), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=work, args=(begin, ready, results, function, number, *arguments))
               for number in range(WRITERS)]
    for worker in workers:
        worker.start()
    for _ in workers:
        ready.get(timeout=60)
    begin.set()
    parts = [results.get(timeout=300) for _ in workers]
    for worker in workers:
        worker.join()
    failures = [part for part in parts if isinstance(part, str)]
    if failures:
        raise RuntimeError(failures[0])
    began, ended = min(part[0] for part in parts), max(part[1] for part in parts)
    return ended - began, [seconds for part in parts for seconds in part[2]]


def work(begin, ready, results, function, number, access, *arguments):
    try:
        connection = access.connect()
        ready.put(number)
        begin.wait()
        began = time.monotonic()
        seconds = function(connection, number, *arguments)
        results.put((began, time.monotonic(), seconds))
    except Exception as error:  # For the parent to raise.
        results.put(f"writer {number}: {error}")


def create_objects(connection, number, path, prefix, total, size):
    """Creates this writer's share of the objects."""
    seconds = []
    for index in range(number, total, WRITERS):
        body = config_map(f"{prefix}-{index}", size)
        began = time.monotonic()
        connection.call("POST", path, body)
        seconds.append(time.monotonic() - began)
    return seconds


def create():
    rates, slowest = [], []
    with serving("bench") as (_, access, path):
        for number in range(RUNS):
            total, seconds = in_parallel(create_objects, access, path, f"c{number}", CREATES, 1024)
            rates.append(CREATES / total)
            slowest.append(sorted(seconds)[int(len(seconds) * 0.99)])
    return {"rate": statistics.median(rates), "p99": 1000 * statistics.median(slowest)}


def token(node):
    """A bearer token of a cluster administrator: wrk has no client certificates."""
    node.kubectl("create", "serviceaccount", "bench", "-n", "kube-system")
    node.kubectl("create", "clusterrolebinding", "bench", "--clusterrole=cluster-admin",
                 "--serviceaccount=kube-system:bench")
    return node.kubectl("create", "token", "bench", "-n", "kube-system").stdout.strip()


def wrk(node, access, path):
    """Medians of requests per second and of the 99th percentile in ms."""
    headers = ("-H", f"Authorization: Bearer {token(node)}", "-H", "Accept: application/json")
    rates, slowest = [], []
    for _ in range(RUNS):
        output = node.execute(*WRK, *headers, f"https://127.0.0.1:{access.port}{path}").stdout
        if "Non-2xx" in output or "Socket errors" in output:
            raise RuntimeError(f"requests failed:\n{output}")
        rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1)))
        value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s|m)\b", output).groups()
        slowest.append(float(value) * UNITS[unit])
    return {"rate": statistics.median(rates), "p99": statistics.median(slowest)}


def get():
    with serving("bench") as (node, access, path):
        access.connect().call("POST", path, config_map("one", 1024))
        return wrk(node, access, f"{path}/one")


def list_objects():
    with serving("bench") as (node, access, path):
        in_parallel(create_objects, access, path, "l", 1000, 1024)
        connection = access.connect()
        # The namespace's own config map (kube-root-ca.crt) is not one of the thousand.
        connection.send("DELETE", f"{path}/kube-root-ca.crt")
        count = len(connection.call("GET", path)["items"])
        if not 1000 <= count <= 1001:
            raise RuntimeError(f"{count} objects are listed instead of 1000")
        return wrk(node, access, path)


def watch():
    with serving("bench") as (_, access, path):
        connection = access.connect()
        for index in range(WATCHED):
            connection.call("POST", path, config_map(f"w{index}", 200))
        return {"time": statistics.median(watched_updates(access, path) for _ in range(RUNS))}


def watched_updates(access, path):
    """Seconds from the first update until every watcher has seen all of them."""
    version = access.connect().call("GET", f"{path}?limit=1")["metadata"]["resourceVersion"]
    watchers = [Watcher(access, f"{path}?watch=1&resourceVersion={version}") for _ in range(WATCHERS)]
    selector = selectors.DefaultSelector()
    for watcher in watchers:
        selector.register(watcher.socket, selectors.EVENT_READ, watcher)
    begin, moment = multiprocessing.Event(), multiprocessing.Queue()
    writer = multiprocessing.Process(target=update, args=(access, path, begin, moment))
    writer.start()
    moment.get(timeout=60)
    begin.set()
    end = time.monotonic() + 120
    missing = set(watchers)
    while missing and time.monotonic() < end:
        for key, _ in selector.select(0.5):
            if key.data.read() >= UPDATES:
                missing.discard(key.data)
    seconds = time.monotonic() - moment.get(timeout=60)
    writer.join()
    for watcher in watchers:
        watcher.connection.close()
    if missing:
        raise RuntimeError(f"{len(missing)} watchers did not see all the updates")
    return seconds


def update(access, path, begin, moment):
    connection = access.connect()
    moment.put(None)
    begin.wait()
    began = time.monotonic()
    for number in range(UPDATES):
        body = config_map(f"w{number % WATCHED}", 200)
        body["data"]["update"] = f"{number} {began}"
        connection.call("PUT", f"{path}/w{number % WATCHED}", body)
    moment.put(began)


class Watcher:
    """Counts the changes on a watch without decoding them, which would measure this process instead."""

    MARK = b'"type":"MODIFIED"'

    def __init__(self, access, path):
        self.connection = access.connect()
        self.response = self.connection.open_watch(path)
        self.socket = self.response.fp.raw._sock
        self.socket.setblocking(False)
        self.count, self.rest = 0, b""

    def read(self):
        while True:
            try:
                data = self.socket.recv(1 << 18)
            except (ssl.SSLWantReadError, BlockingIOError):
                return self.count
            if not data:
                raise RuntimeError("a watch ended")
            data = self.rest + data
            self.count += data.count(self.MARK)
            # A mark may be cut in two between reads.
            self.rest = data[1 - len(self.MARK):]


def store():
    with serving("bench") as (node, access, path):
        time.sleep(10)
        before = pss(processes(node))
        in_parallel(create_objects, access, path, "s", STORED, 2048)
        time.sleep(30)
        return {"growth": pss(processes(node)) - before}
