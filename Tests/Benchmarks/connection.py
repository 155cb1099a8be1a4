# SPDX-License-Identifier: Apache-2.0
"""A plain, fast HTTPS client of a node's API server, and readers of /proc."""

import base64
import http.client
import json
import os
import pathlib
import re
import socket
import ssl
import tempfile


class Access:
    """Where the API server is and who we are: from the kubeconfig that the agent wrote."""

    def __init__(self, node):
        text = node.kubeconfig.read_text()

        def field(name):
            return re.search(rf'^\s*{name}: "?([^"\n]+)"?$', text, re.MULTILINE).group(1)

        # From outside of the node's network namespace, so not by its loopback address.
        self.host = node.address
        self.port = int(field("server").rsplit(":", 1)[1])
        self.context = ssl.create_default_context(
            cadata=base64.b64decode(field("certificate-authority-data")).decode())
        self.context.check_hostname = False
        with tempfile.NamedTemporaryFile() as file:
            for name in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(field(name)) + b"\n")
            file.flush()
            self.context.load_cert_chain(file.name)

    @property
    def url(self):
        return f"https://{self.host}:{self.port}"

    def connect(self, timeout=60):
        return Connection(self, timeout)


class Connection:
    """One kept-alive connection."""

    def __init__(self, access, timeout):
        self.http = http.client.HTTPSConnection(access.host, access.port, context=access.context, timeout=timeout)
        self.http.connect()
        self.http.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, method, path, body=None, content_type="application/json"):
        """The status and the body of the answer."""
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = content_type
            body = json.dumps(body)
        self.http.request(method, path, body, headers)
        response = self.http.getresponse()
        return response.status, response.read()

    def call(self, method, path, body=None, content_type="application/json"):
        """The decoded answer; anything but success is an error."""
        status, data = self.send(method, path, body, content_type)
        if status >= 300:
            raise RuntimeError(f"{method} {path}: {status} {data[:500].decode(errors='replace')}")
        return json.loads(data)

    def open_watch(self, path):
        """Starts a watch and gives its response, to be read line by line."""
        self.http.request("GET", path, headers={"Accept": "application/json"})
        response = self.http.getresponse()
        if response.status != 200:
            raise RuntimeError(f"watch of {path}: {response.status} {response.read()[:500]}")
        return response

    def close(self):
        self.http.close()


def config_map(name, size):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "x" * size}}


def processes(node):
    """The node's own processes: the agent, monitors and launchers, without workloads."""
    own = str(node.binaries.resolve())
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if os.path.dirname(os.readlink(entry / "exe")) == own and belongs(node, entry):
                found.append(int(entry.name))
        except OSError:
            continue  # It ended, or is a kernel thread.
    return found


def belongs(node, entry):
    return str(node.directory).encode() in (entry / "cmdline").read_bytes() or (
        node.process is not None and entry.name == str(node.process.pid))


def pss(pids):
    """Proportional set size of processes together, in MB (10^6 bytes are not meant: 1 MB = 2^20 bytes)."""
    total = 0
    for pid in pids:
        try:
            text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue  # It ended meanwhile.
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE).group(1))
    return total / 1024


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def written_bytes(pid):
    return int(re.search(r"^write_bytes: (\d+)", pathlib.Path(f"/proc/{pid}/io").read_text(), re.MULTILINE).group(1))
