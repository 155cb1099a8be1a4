# SPDX-License-Identifier: Apache-2.0
"""Virtual machines with Debian 13 that systemd booted, for scripts/test-vm: an image for each architecture, made once, and
machines on a common link. One of this machine's own architecture runs on its processor where KVM does that, others are emulated."""

import contextlib
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

CACHE = pathlib.Path(os.environ.get("SWIFTLET_BUILD_CACHE", "/var/cache/swiftlet-build"))
MIRROR = os.environ.get("DEBIAN_MIRROR", "http://deb.debian.org/debian")
START = time.monotonic()
# The machines' link: a bridge of this machine with the first address. Nothing else is reached from it.
LINK, PREFIX = "machines", "10.91.0"
NUMBERS = range(11, 15)


def say(text):
    print(f"[{time.monotonic() - START:7.1f} s] {text}", flush=True)


def fail(text):
    sys.exit(f"test-vm: {text}")


def run(*command, **options):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if result.returncode != 0:
        fail(f"{' '.join(map(str, command))} failed ({result.returncode}):\n{(result.stdout + result.stderr)[-3000:]}")
    return result.stdout


def can_virtualize():
    """Whether KVM runs ordinary kernels here: kvm_pvm, within other virtual machines, does not."""
    vendors = [pathlib.Path("/sys/module", name) for name in ("kvm_intel", "kvm_amd")]
    return os.access("/dev/kvm", os.R_OK | os.W_OK) and (os.uname().machine != "x86_64" or any(map(pathlib.Path.exists, vendors)))


class Architecture:
    """What differs between the architectures."""

    def __init__(self, name):
        self.name = name
        self.is_native = run("dpkg", "--print-architecture").strip() == name
        self.is_fast = self.is_native and can_virtualize()
        accelerator = ["-accel", "kvm", "-cpu", "host"] if self.is_fast else ["-accel", "tcg,thread=multi"]
        if name == "arm64":
            self.emulator, self.package, self.console = "qemu-system-aarch64", "qemu-system-arm", "ttyAMA0"
            processor = [] if self.is_fast else ["-cpu", "cortex-a72"]
            self.options = ["-machine", "virt", *accelerator, *processor]
        else:
            self.emulator, self.package, self.console = "qemu-system-x86_64", "qemu-system-x86", "ttyS0"
            self.options = ["-machine", "q35", *accelerator]
        # An emulated machine is ten to thirty times slower.
        self.patience = 1 if self.is_fast else 8


class Image:
    """The Debian root of an architecture, and the disk made of it."""

    # What the package depends on is in it, since the machines reach no mirror.
    packages = (
        "systemd-sysv,openssh-server,dbus,iproute2,nftables,kmod,udev,zstd,initramfs-tools,busybox-static,libnftables1,"
        "libssl3t64,libsqlite3-0,libsystemd0,libseccomp2,libnss-systemd,ca-certificates,procps,curl,kubernetes-client,"
        "man-db,bash-completion,apt-utils,linux-image-cloud-{}")

    def __init__(self, architecture):
        self.architecture = architecture
        self.name = f"trixie-{architecture.name}"
        self.root = CACHE / self.name
        self.key = CACHE / "test-vm.key"

    def files(self):
        """Path -> text and mode of what makes the root a machine."""
        files = {
            "etc/fstab": ("LABEL=root / ext4 defaults 0 1\n", 0o644),
            "etc/hosts": ("127.0.0.1 localhost\n", 0o644),
            # An empty one is made anew at the boot: every machine has its own.
            "etc/machine-id": ("", 0o644),
            "etc/systemd/journald.conf.d/persistent.conf": ("[Journal]\nStorage=persistent\n", 0o644),
            "root/.ssh/authorized_keys": (self.key.with_suffix(".key.pub").read_text(), 0o600),
        }
        for number in NUMBERS:
            files[f"etc/systemd/network/10-{number}.network"] = (
                f"[Match]\nMACAddress={hardware_address(number)}\n[Network]\nAddress={PREFIX}.{number}/24\n"
                f"Gateway={PREFIX}.1\n", 0o644)
        return files

    @property
    def disk(self):
        """Another content gets another name."""
        content = repr((self.packages, self.files())).encode()
        return CACHE / f"{self.name}-{hashlib.sha256(content).hexdigest()[:12]}.img"

    def prepare(self):
        CACHE.mkdir(parents=True, exist_ok=True)
        if not self.key.exists():
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        if self.disk.exists():
            return
        if not self.root.exists():
            self.make_root()
        packages = self.packages.format(self.architecture.name).split(",")
        run("chroot", self.root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        run("chroot", self.root, "apt-get", "clean")
        self.configure()
        say("making its disk")
        for old in CACHE.glob(f"{self.name}-*.img"):
            old.unlink()
        partial = self.disk.with_suffix(".partial")
        with open(partial, "wb") as file:
            file.truncate(6 << 30)
        run("mkfs.ext4", "-q", "-L", "root", "-d", self.root, partial)
        partial.rename(self.disk)

    def make_root(self):
        say(f"making a Debian 13 root in {self.root} (once)")
        if not self.architecture.is_native:
            enable_emulation()
        partial = self.root.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        run("debootstrap", f"--arch={self.architecture.name}", "--variant=minbase",
            f"--include={self.packages.format(self.architecture.name)}", "trixie", partial, MIRROR)
        partial.rename(self.root)

    def configure(self):
        # Otherwise a machine without an identity takes this one.
        (self.root / "var/lib/dbus/machine-id").unlink(missing_ok=True)
        for path, (text, mode) in self.files().items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(mode)
        (self.root / "root/.ssh").chmod(0o700)
        (self.root / "etc/hostname").unlink(missing_ok=True)
        wants = self.root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        link = wants / "systemd-networkd.service"
        if not link.is_symlink():
            link.symlink_to("/usr/lib/systemd/system/systemd-networkd.service")


def enable_emulation():
    """Lets this machine run programs of the other architecture (binfmt_misc)."""
    registered = pathlib.Path("/proc/sys/fs/binfmt_misc")
    if not (registered / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", registered)
    if not (registered / "qemu-aarch64").exists():
        run("update-binfmts", "--import", "qemu-aarch64")
        run("update-binfmts", "--enable", "qemu-aarch64")


def hardware_address(number):
    return f"52:54:00:5b:00:{number:02x}"


def make_link():
    """The bridge; in a network namespace of its own, so that nothing of it stays."""
    run("ip", "link", "add", LINK, "type", "bridge")
    run("ip", "address", "add", f"{PREFIX}.1/24", "dev", LINK)
    run("ip", "link", "set", LINK, "up")


class Machine:
    """One machine on the link, and a shell on it. How it starts and ends is its kind's."""

    def __init__(self, image, directory, name, number):
        self.image, self.name, self.number = image, name, number
        self.patience = image.architecture.patience
        self.address = f"{PREFIX}.{number}"
        self.directory = pathlib.Path(directory)
        self.process = None

    def launch(self, command):
        with open(self.directory / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        began = time.monotonic()
        self.wait_until_up()
        say(f"{self.name} is up ({time.monotonic() - began:.1f} s)")

    def last_words(self):
        return (self.directory / f"{self.name}.log").read_text(errors="replace")[-3000:]

    def wait_until_up(self, different_from=""):
        """Until it answers, with another boot than the given one."""
        deadline = time.monotonic() + 90 * self.patience
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                fail(f"{self.name} ended:\n{self.last_words()}")
            answer = self.try_shell("cat /proc/sys/kernel/random/boot_id", 5 * self.patience)
            if answer.returncode == 0 and answer.stdout.strip() != different_from:
                return
            time.sleep(0.2)
        fail(f"{self.name} did not come up:\n{self.last_words()}")

    def ssh(self):
        return ["-i", str(self.image.key), "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
                "-o", "LogLevel=ERROR", "-o", f"ConnectTimeout={3 * self.patience}", "-o", "BatchMode=yes"]

    def try_shell(self, command, timeout=300):
        try:
            return subprocess.run(["ssh", *self.ssh(), f"root@{self.address}", command], capture_output=True, text=True,
                                  timeout=timeout, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired as error:
            return subprocess.CompletedProcess(command, 255, (error.stdout or b"").decode(errors="replace"), "timed out")

    def shell(self, command, timeout=120, shows=True, lines=12):
        """Runs a command, prints it with its time and its last lines, and gives the output; a failure ends the test."""
        began = time.monotonic()
        result = self.try_shell(command, timeout * self.patience)
        if shows or result.returncode != 0:
            say(f"{self.name}# {command}   ({time.monotonic() - began:.1f} s)")
            for line in (result.stdout + result.stderr).splitlines()[-lines:]:
                print("            " + line, flush=True)
        if result.returncode != 0:
            journal = self.try_shell("journalctl -t swiftlet -t systemd -n 60 --no-pager", 60 * self.patience).stdout
            fail(f"exit status {result.returncode} of: {command}\n{journal}")
        return result.stdout.strip()

    def seconds(self, command, timeout=120):
        """Runs a command; the seconds that it took by the machine's own clock."""
        clock = "cut -d' ' -f1 /proc/uptime"
        text = self.shell(f"begin=$({clock}); {command}\nstatus=$?; echo took $begin $({clock}); exit $status", timeout)
        begin, end = text.splitlines()[-1].split()[1:]
        return float(end) - float(begin)

    def copy(self, path, target):
        run("scp", "-q", *self.ssh(), path, f"root@{self.address}:{target}")

    def write(self, path, text):
        """Writes a file."""
        result = subprocess.run(["ssh", *self.ssh(), f"root@{self.address}", f"cat >{path}"], input=text, text=True)
        if result.returncode != 0:
            fail(f"cannot write {path} on {self.name}")

    def cut_power(self):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def end(self):
        self.cut_power()

    def power_off(self, how="poweroff"):
        self.try_shell(f"systemctl {how}", 30)
        try:
            self.process.wait(timeout=150 * self.patience)
        except subprocess.TimeoutExpired:
            fail(f"{self.name} does not end:\n{self.last_words()}")


class VirtualMachine(Machine):
    """A machine with a kernel of its own."""

    has_kernel = True

    def __init__(self, image, directory, name, number, words=""):
        """`words`: further ones of its kernel command line."""
        super().__init__(image, directory, name, number)
        self.words = words
        self.disk = self.directory / f"{name}.qcow2"
        self.console = self.directory / f"{name}.console"
        run("qemu-img", "create", "-q", "-f", "qcow2", "-b", image.disk, "-F", "raw", self.disk)
        self.tap = f"tap{number}"
        run("ip", "tuntap", "add", "dev", self.tap, "mode", "tap")
        run("ip", "link", "set", self.tap, "master", LINK, "up")

    def start(self):
        boot = self.image.root / "boot"
        words = f"root=LABEL=root rw console={self.image.architecture.console} quiet systemd.hostname={self.name} {self.words}"
        self.launch([
            self.image.architecture.emulator, *self.image.architecture.options, "-smp", "2", "-m", "1024",
            "-kernel", max(boot.glob("vmlinuz-*")), "-initrd", max(boot.glob("initrd.img-*")), "-append", words,
            "-drive", f"file={self.disk},if=virtio,cache=writethrough", "-netdev",
            f"tap,id=link,ifname={self.tap},script=no,downscript=no", "-device",
            f"virtio-net-pci,netdev=link,romfile=,mac={hardware_address(self.number)}", "-device", "virtio-rng-pci",
            "-nodefaults", "-no-user-config", "-display", "none", "-serial", f"file:{self.console}",
        ])

    def last_words(self):
        return super().last_words() + self.console.read_text(errors="replace")[-3000:]

    def reboot(self):
        boot = self.shell("cat /proc/sys/kernel/random/boot_id", shows=False)
        began = time.monotonic()
        self.try_shell("systemctl reboot", 30)
        self.wait_until_up(different_from=boot)
        say(f"{self.name} has rebooted ({time.monotonic() - began:.1f} s)")


class Container(Machine):
    """The same Debian, booted by its systemd in namespaces on this machine's kernel: as fast as the machine is. Power cuts
    end its processes; kernel parameters that belong to no namespace are this machine's."""

    has_kernel = False
    # What would change the machine around it, or waits for devices.
    masked = ["systemd-sysctl.service", "systemd-udevd.service", "systemd-udev-trigger.service", "systemd-binfmt.service",
              "systemd-modules-load.service", "dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount",
              "proc-sys-fs-binfmt_misc.automount", "getty.target"]

    def __init__(self, image, directory, name, number, words=""):
        super().__init__(image, directory, name, number)
        # A file system of its own, since overlays cannot lie on overlays.
        disk = self.directory / f"{name}.img"
        run("cp", "--sparse=always", image.disk, disk)
        self.root = self.directory / name
        self.root.mkdir()
        run("mount", "-o", "loop", disk, self.root)
        (self.root / "etc/fstab").write_text("")
        for unit in self.masked:
            link = self.root / "etc/systemd/system" / unit
            link.unlink(missing_ok=True)
            link.symlink_to("/dev/null")

    def start(self):
        self.forget_boot()
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", f"veth{self.number}", "type", "veth", "peer", "name", "eth0", "address",
            hardware_address(self.number), "netns", self.name)
        run("ip", "link", "set", f"veth{self.number}", "master", LINK, "up")
        self.launch(["nsenter", f"--net=/run/netns/{self.name}", "sh", "-c", ENTER_GROUPS, "machine", self.root, self.name,
                     BOOT])

    def forget_boot(self):
        """Links, rules and control groups do not outlive a boot."""
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True)
        deadline = time.monotonic() + 10
        while left := sorted(pathlib.Path("/sys/fs/cgroup").glob(f"*/machine-{self.name}/**/"), reverse=True):
            for group in left:
                # Its last process has been killed and may take a moment to go.
                with contextlib.suppress(OSError):
                    group.rmdir()
            if time.monotonic() > deadline:
                fail(f"the control groups of {self.name} do not go: {left[0]}")
            time.sleep(0.05)

    def end(self):
        super().end()
        self.forget_boot()
        run("umount", "-l", self.root)

    def reboot(self):
        began = time.monotonic()
        self.power_off("reboot")
        self.start()
        say(f"{self.name} has rebooted ({time.monotonic() - began:.1f} s)")


# A control group for a container in every hierarchy, then namespaces.
ENTER_GROUPS = r"""
set -e
for hierarchy in /sys/fs/cgroup/*; do
    group=$hierarchy/machine-$2
    mkdir -p $group
    for file in cpuset.cpus cpuset.mems; do
        [ ! -e $group/$file ] || cat $hierarchy/$file >$group/$file
    done
    echo $$ >$group/cgroup.procs
done
exec unshare --cgroup --mount --pid --uts --ipc --fork --kill-child=KILL sh -c "$3" boot "$1" "$2"
"""

# What an initial RAM disk and the kernel leave to systemd.
BOOT = r"""
set -e
mount --make-rprivate /
hostname $2
cd $1
mount -t proc proc proc
groups=$(ls /sys/fs/cgroup)
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
for group in $groups; do
    mkdir sys/fs/cgroup/$group
    case $group in
        unified) mount -t cgroup2 cgroup2 sys/fs/cgroup/unified ;;
        systemd) mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd ;;
        *) mount -t cgroup -o $group cgroup sys/fs/cgroup/$group ;;
    esac
done
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm dev/mqueue dev/net
for device in null zero full random urandom tty kmsg fuse net/tun; do
    [ ! -e /dev/$device ] || { : >dev/$device; mount --bind /dev/$device dev/$device; }
done
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ln -s null dev/console
mount -t tmpfs tmpfs dev/shm
mount -t mqueue mqueue dev/mqueue
mkdir -p run/before
mount --rbind . /mnt
cd /mnt
pivot_root . run/before
cd /
umount -l /run/before
exec env -i container=machine PATH=/usr/sbin:/usr/bin SYSTEMD_LOG_TARGET=journal     SYSTEMD_PROC_CMDLINE='systemd.unified_cgroup_hierarchy=0 SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1' /sbin/init
"""
