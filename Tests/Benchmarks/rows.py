# SPDX-License-Identifier: Apache-2.0
"""The rows that the benchmark fills: what is measured, what we want, and what upstream needs on the same kind of machine.

Upstream: the v1.24 line with etcd, containerd and runc, all its processes summed, 2 cores, load generator on the same
cores."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    text: str
    unit: str
    target: float
    # Upstream's value; None where upstream has no counterpart.
    reference: float | None
    # "<=": less is better.
    sense: str = "<="

    def ratio(self, value):
        """How many times better than the target: 1 or more is a pass."""
        if self.sense == ">=":
            return value / self.target
        return self.target / value if value > 0 else float("inf")


# Name of the measurement -> its rows.
MEASUREMENTS = {
    "cold-start": {
        "ready": Row("cold start to node Ready", "s", 1.0, 12.2),
        "service-account": Row("cold start to default ServiceAccount", "s", 1.0, 18.9),
    },
    "idle": {
        "pss": Row("idle, 0 pods: PSS of all processes", "MB", 40, 595),
        "cpu": Row("idle, 0 pods: CPU of one core", "%", 0.3, 6.3),
        "written": Row("idle: written to disk per hour", "MB", 1, 122),
        "fsyncs": Row("idle: fsyncs per minute", "", 2, 178),
    },
    "pod-memory": {"pss": Row("each further pod: PSS of all but the workload", "MB", 1.0, 4.0)},
    "pods": {
        "apply-p50": Row("kubectl apply to Ready, p50", "ms", 200, 693),
        "apply-p95": Row("kubectl apply to Ready, p95", "ms", 350, 953),
        "ready-p50": Row("pod created to Ready, p50", "ms", 80, 578),
        "ready-p95": Row("pod created to Ready, p95", "ms", 160, 824),
        "delete-p50": Row("delete to gone, grace 1 s, TERM ignored, p50", "s", 1.15, 3.5),
    },
    "scale": {
        "up": Row("Deployment 0 to 30 replicas Ready", "s", 5, 19.6),
        "down": Row("Deployment 30 to 0 replicas gone", "s", 4, 24.4),
    },
    "launcher": {
        "time": Row("launcher: run + delete of /bin/true", "ms", 9, 19.6),
        "memory": Row("launcher: peak RSS", "MB", 4, 10.1),
    },
    "create": {
        "rate": Row("creates, 16 writers, on disk", "/s", 2100, 1411, ">="),
        "p99": Row("creates, 16 writers, p99", "ms", 25, 35),
    },
    "get": {
        "rate": Row("GET of 1 KB, 16 connections", "/s", 15000, 4641, ">="),
        "p99": Row("GET of 1 KB, p99", "ms", 8, 20),
    },
    "list": {"rate": Row("LIST of 1,000 x 1 KB, 16 connections, consistent", "/s", 500, 108, ">=")},
    "watch": {"time": Row("100 watchers saw 500 updates after", "s", 0.75, 1.48)},
    "join": {"ready": Row("swiftlet join to node Ready", "s", 2, None)},
    "worker": {
        "memory": Row("idle worker: PSS of all processes", "MB", 24, None),
        "cpu": Row("idle worker: CPU of one core", "%", 0.2, None),
        "worker-written": Row("3 nodes idle: worker writes to disk per hour", "MB", 0.2, None),
        "server-written": Row("3 nodes idle: control plane writes per hour", "MB", 1, None),
    },
    "flock": {
        "memory": Row("control plane with 20 idle workers: PSS", "MB", 80, None),
        "cpu": Row("control plane with 20 idle workers: CPU of one core", "%", 1, None),
    },
    "store": {"growth": Row("PSS growth for 5,000 objects of 2 KB", "MB", 20, 63)},
}
