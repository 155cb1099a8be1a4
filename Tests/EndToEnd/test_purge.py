# SPDX-License-Identifier: Apache-2.0
"""What the package's script does at a purge, on a machine that is made up of empty directories."""

import subprocess
import unittest

from node import ROOT

# The script's places are empty memory file systems of a mount namespace; what is printed is what is left in them.
MACHINE = r"""
set -e
for place in /etc /run /var/lib /var/log; do mount -t tmpfs tmpfs $place; done
mkdir -p /etc/swiftlet /var/log/pods/x /run/swiftlet/x
touch /etc/swiftlet/admin.kubeconfig /etc/swiftlet/.admin.kubeconfig.new /etc/swiftlet/admin.kubeconfig.removing
mkdir -p /var/lib/swiftlet.removing/store /var/lib/swiftlet.restoring/store /var/lib/swiftlet.before-restore-17/pki
mkdir /var/lib/swiftlet
%s
sh "$1" purge
# mount(8) keeps a table of its own.
rm -rf /run/mount
find /etc /run /var/lib /var/log -mindepth 1
"""
STATE = "mkdir -p /var/lib/swiftlet/store; touch /var/lib/swiftlet/file"


class PurgeTests(unittest.TestCase):
    def purge(self, prepare):
        """What is left, and what was said."""
        result = subprocess.run(["unshare", "-m", "--propagation", "private", "sh", "-c", MACHINE % prepare, "sh",
                                 ROOT / "packaging/debian/postrm"], capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return set(result.stdout.split()), result.stderr

    def test_nothing_is_left(self):
        self.assertEqual(self.purge(STATE)[0], set())

    def test_a_disk_is_emptied_and_stays_mounted(self):
        left, _ = self.purge("mount -t tmpfs tmpfs /var/lib/swiftlet; mkdir /var/lib/swiftlet/lost+found\n" + STATE
                             + "\ntouch /var/lib/swiftlet/.hidden")
        self.assertEqual(left, {"/var/lib/swiftlet", "/var/lib/swiftlet/lost+found"})

    def test_a_link_stays_and_what_it_leads_to_is_emptied(self):
        left, _ = self.purge("rmdir /var/lib/swiftlet; mkdir /var/lib/disk; ln -s disk /var/lib/swiftlet\n" + STATE
                             + "\nrm -r /var/lib/swiftlet.*; mkdir /var/lib/disk.before-restore-18 /var/lib/disk.restoring")
        self.assertEqual(left, {"/var/lib/swiftlet", "/var/lib/disk"})

    def test_what_others_mounted_is_not_touched(self):
        left, said = self.purge(STATE + "; mkdir /var/lib/swiftlet/images\n"
                                "mount -t tmpfs tmpfs /var/lib/swiftlet/images; touch /var/lib/swiftlet/images/mine")
        self.assertIn("/var/lib/swiftlet/images/mine", left)
        self.assertIn("mounted below /var/lib/swiftlet", said)
        self.assertFalse([path for path in left if "before-restore" in path])


if __name__ == "__main__":
    unittest.main()
