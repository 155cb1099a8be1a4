# SPDX-License-Identifier: Apache-2.0
"""A real journald for tests, and what it was told."""

import atexit
import ctypes
import json
import os
import pathlib
import socket
import subprocess
import unittest

from node import Node, NodeTestCase, run, until

JOURNALD = pathlib.Path("/usr/lib/systemd/systemd-journald")


CLONE_NEWNS = 0x00020000


def leave_mount_namespace():
    """Takes this process out of the machine's mount namespace, whose journald must not be covered."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    run("mount", "--make-rprivate", "/")


class Journal:
    """journald with its files in memory, seen by this process and its children only."""

    def __init__(self):
        leave_mount_namespace()
        for place in ("/run/systemd", "/run/log"):
            pathlib.Path(place).mkdir(exist_ok=True)
            run("mount", "-t", "tmpfs", "-o", "mode=755", "journal", place)
        for place in ("systemd/journal", "systemd/system", "systemd/journald.conf.d", "log/journal"):
            pathlib.Path("/run", place).mkdir()
        pathlib.Path("/run/systemd/journald.conf.d/test.conf").write_text(
            "[Journal]\nStorage=volatile\nAudit=no\nReadKMsg=no\nRateLimitIntervalSec=0\n")
        self.process = subprocess.Popen([JOURNALD], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        atexit.register(self.end)
        until(lambda: pathlib.Path("/run/systemd/journal/stdout").exists(), 10, "journald's sockets")

    def end(self):
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(timeout=10)
        self.process = None
        for place in ("/run/log", "/run/systemd"):
            run("umount", "-l", place, check=False)

    def stream(self, identifier):
        """A stream as services have it for their output (sd_journal_stream_fd(3)), and JOURNAL_STREAM for it."""
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.connect("/run/systemd/journal/stdout")
        stream.sendall(f"{identifier}\n\n6\n0\n0\n0\n0\n".encode())
        status = os.fstat(stream.fileno())
        return stream, f"{status.st_dev}:{status.st_ino}"

    def entries(self, *matches):
        """The entries with these fields, as dictionaries."""
        run("journalctl", "--sync")
        text = run("journalctl", "--no-pager", "--output=json", "--all", *matches).stdout
        return [json.loads(line) for line in text.splitlines()]


@unittest.skipUnless(JOURNALD.exists(), "systemd is not installed")
class JournalTestCase(NodeTestCase):
    """Tests of a node, not started yet, whose agent logs to a journal of their own."""

    @classmethod
    def setUpClass(cls):
        cls.journal = Journal()
        cls.addClassCleanup(cls.journal.end)
        cls.node = Node()
        cls.addClassCleanup(cls.node.remove)
        cls.node.journal = cls.journal
