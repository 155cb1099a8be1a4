# SPDX-License-Identifier: Apache-2.0
"""How fast pods come and go, seen by a client that watches them."""

import json
import statistics
import threading
import time

from agent_life import running_node
from connection import Access
from node import IMAGE

PODS = 20
SCALE_RUNS = 3
REPLICAS = 30
NAMESPACE = "/api/v1/namespaces/default"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


class PodWatch:
    """Notes for each pod when it was first seen, when it was Ready and when it was gone."""

    def __init__(self, access):
        self.changed = threading.Condition()
        self.added, self.ready, self.gone = {}, {}, {}
        version = access.connect().call("GET", f"{NAMESPACE}/pods")["metadata"]["resourceVersion"]
        response = access.connect(timeout=None).open_watch(f"{NAMESPACE}/pods?watch=1&resourceVersion={version}")
        threading.Thread(target=self.follow, args=(response,), daemon=True).start()

    def follow(self, response):
        while line := response.readline():
            now = time.monotonic()
            event = json.loads(line)
            name = event["object"]["metadata"]["name"]
            with self.changed:
                if event["type"] == "ADDED":
                    self.added.setdefault(name, now)
                if event["type"] == "DELETED":
                    self.gone.setdefault(name, now)
                elif is_ready(event["object"]):
                    self.ready.setdefault(name, now)
                self.changed.notify_all()

    def wait(self, condition, what, timeout=180):
        with self.changed:
            if not self.changed.wait_for(condition, timeout):
                raise RuntimeError(f"not seen in {timeout} s: {what}")


def is_ready(pod):
    return any(condition["type"] == "Ready" and condition["status"] == "True"
               for condition in pod.get("status", {}).get("conditions", []))


def pod_spec():
    # PID 1 has no handler of TERM, so the kernel drops the signal.
    return {"terminationGracePeriodSeconds": 1, "containers": [
        {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "100000"]}]}


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def latencies():
    with running_node() as node:
        node.import_test_image()
        access = Access(node)
        watch, connection = PodWatch(access), access.connect()
        applied, readied, deleted = [], [], []
        for number in range(PODS):
            name = f"latency-{number}"
            manifest = json.dumps(
                {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod_spec()})
            began = time.monotonic()
            node.apply(manifest)
            watch.wait(lambda: name in watch.ready, f"{name} Ready")
            applied.append(watch.ready[name] - began)
            readied.append(watch.ready[name] - watch.added[name])
            time.sleep(0.5)
            began = time.monotonic()
            connection.call("DELETE", f"{NAMESPACE}/pods/{name}")
            watch.wait(lambda: name in watch.gone, f"{name} gone")
            deleted.append(watch.gone[name] - began)
            time.sleep(0.3)
        return {"apply-p50": 1000 * percentile(applied, 0.5), "apply-p95": 1000 * percentile(applied, 0.95),
                "ready-p50": 1000 * percentile(readied, 0.5), "ready-p95": 1000 * percentile(readied, 0.95),
                "delete-p50": percentile(deleted, 0.5)}


def scale():
    with running_node() as node:
        node.import_test_image()
        access = Access(node)
        connection, ups, downs = access.connect(), [], []
        for number in range(SCALE_RUNS):
            name = f"scale-{number}"
            watch = PodWatch(access)
            connection.call("POST", DEPLOYMENTS, {
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
                "spec": {"replicas": 0, "selector": {"matchLabels": {"app": name}},
                         "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec()}}})
            time.sleep(2)
            ups.append(timed_scale(connection, name, REPLICAS, watch, watch.ready))
            time.sleep(1)
            downs.append(timed_scale(connection, name, 0, watch, watch.gone))
            connection.call("DELETE", f"{DEPLOYMENTS}/{name}")
            time.sleep(2)
        return {"up": statistics.median(ups), "down": statistics.median(downs)}


def timed_scale(connection, name, replicas, watch, seen):
    """Seconds until all the replicas were seen in a state."""
    began = time.monotonic()
    connection.call("PATCH", f"{DEPLOYMENTS}/{name}/scale", {"spec": {"replicas": replicas}},
                    "application/merge-patch+json")
    watch.wait(lambda: len(seen) >= REPLICAS, f"{name} at {replicas}; {len(seen)} of {REPLICAS} are")
    return time.monotonic() - began
