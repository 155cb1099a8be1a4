# SPDX-License-Identifier: Apache-2.0
"""A system bus for tests, and on it a login manager: as much of org.freedesktop.login1 as delaying a shutdown takes.

Run as a program it is the login manager, which reads commands from its standard input."""

import atexit
import ctypes
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

BUS_DAEMON = shutil.which("dbus-daemon")
NAME, PATH, INTERFACE = b"org.freedesktop.login1", b"/org/freedesktop/login1", b"org.freedesktop.login1.Manager"
BUS_CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow own="*"/><allow user="*"/><allow send_destination="*" eavesdrop="true"/><allow receive_sender="*"/>
  </policy>
</busconfig>
"""


class SystemBus:
    """A message bus of its own."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="swiftlet-bus-"))
        self.socket = self.directory / "socket"
        self.process = None
        self.manager = None
        atexit.register(self.end)

    @property
    def address(self):
        return f"unix:path={self.socket}"

    def start(self):
        configuration = self.directory / "bus.conf"
        configuration.write_text(BUS_CONFIGURATION.format(path=self.socket))
        self.process = subprocess.Popen([BUS_DAEMON, f"--config-file={configuration}", "--nofork", "--nopidfile"],
                                        stdin=subprocess.DEVNULL)
        while not self.socket.exists():
            if self.process.poll() is not None:
                raise AssertionError(f"dbus-daemon ended with {self.process.returncode}")
            time.sleep(0.02)
        return self

    def start_manager(self, allowed_seconds=60):
        """The login manager; its answers are read by `tell`."""
        self.manager = subprocess.Popen(
            [sys.executable, __file__, str(allowed_seconds)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address})
        if self.manager.stdout.readline() != "here\n":
            raise AssertionError("the login manager did not come up")

    def tell(self, command):
        """`locks`: how many are held. `shutdown`, `cancel`: tells everybody."""
        self.manager.stdin.write(f"{command}\n")
        self.manager.stdin.flush()
        return self.manager.stdout.readline().strip()

    def locks(self):
        return int(self.tell("locks"))

    def end_manager(self):
        if self.manager is not None:
            self.manager.kill()
            self.manager.communicate()
            self.manager = None

    def end(self):
        self.end_manager()
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)


class LoginManager:
    """The service, by means of sd-bus."""

    def __init__(self, allowed_seconds):
        self.allowed = allowed_seconds * 1_000_000
        self.readers = []
        self.library = ctypes.CDLL("libsystemd.so.0")
        for name in ("get_path", "get_interface", "get_member"):
            getattr(self.library, f"sd_bus_message_{name}").restype = ctypes.c_char_p
        self.bus = ctypes.c_void_p()
        self.check(self.library.sd_bus_open_system(ctypes.byref(self.bus)))
        self.check(self.library.sd_bus_request_name(self.bus, NAME, ctypes.c_uint64(0)))

    @staticmethod
    def check(result):
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def reply(self, call, kind=None, value=None):
        answer = ctypes.c_void_p()
        self.check(self.library.sd_bus_message_new_method_return(call, ctypes.byref(answer)))
        if kind == b"v":
            self.check(self.library.sd_bus_message_open_container(answer, ctypes.c_char(b"v"), b"t"))
            self.append(answer, b"t", ctypes.c_uint64(value))
            self.check(self.library.sd_bus_message_close_container(answer))
        elif kind:
            self.append(answer, kind, ctypes.c_int(value))
        self.send(answer)

    def append(self, message, kind, value):
        self.check(self.library.sd_bus_message_append_basic(message, ctypes.c_char(kind), ctypes.byref(value)))

    def send(self, message):
        self.check(self.library.sd_bus_send(self.bus, message, None))
        self.check(self.library.sd_bus_flush(self.bus))
        self.library.sd_bus_message_unref(message)

    def prepare_for_shutdown(self, begins):
        signal = ctypes.c_void_p()
        self.check(self.library.sd_bus_message_new_signal(
            self.bus, ctypes.byref(signal), PATH, INTERFACE, b"PrepareForShutdown"))
        self.append(signal, b"b", ctypes.c_int(begins))
        self.send(signal)

    def serve(self, call):
        member = self.library.sd_bus_message_get_member(call)
        if member == b"Inhibit":
            reader, writer = os.pipe()
            self.readers.append(reader)
            self.reply(call, b"h", writer)
            # Who holds the lock has the only end to write to.
            os.close(writer)
        elif member == b"Get":
            self.reply(call, b"v", self.allowed)

    def held(self):
        """The locks whose holders have not closed them."""
        gone = select.select(self.readers, [], [], 0)[0]
        for reader in gone:
            os.close(reader)
            self.readers.remove(reader)
        return len(self.readers)

    def process_messages(self):
        while True:
            message = ctypes.c_void_p()
            did_work = self.check(self.library.sd_bus_process(self.bus, ctypes.byref(message)))
            if message.value:
                self.serve(message)
                self.library.sd_bus_message_unref(message)
            elif not did_work:
                return

    def obey(self, command):
        if command == "locks":
            return str(self.held())
        self.prepare_for_shutdown(command == "shutdown")
        return "told"

    def run(self):
        print("here", flush=True)
        while True:
            self.process_messages()
            ready = select.select([sys.stdin, self.library.sd_bus_get_fd(self.bus)], [], [])[0]
            if sys.stdin in ready:
                line = sys.stdin.readline()
                if not line:
                    return
                print(self.obey(line.strip()), flush=True)


if __name__ == "__main__":
    LoginManager(int(sys.argv[1])).run()
