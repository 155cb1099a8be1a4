# SPDX-License-Identifier: Apache-2.0
"""Images from a registry, with Debian's docker-registry on loopback."""

import base64
import json
import subprocess
import unittest

from node import ROOT, NodeTestCase, run, until

CONFIGURATION = """\
version: 0.1
log: {level: error, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %s}
http: {addr: 127.0.0.1:5000}
auth:
  htpasswd: {realm: test, path: %s}
"""


class RegistryTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = cls.node.directory / "registry"
        directory.mkdir()
        passwords = directory / "htpasswd"
        passwords.write_text(run("htpasswd", "-Bbn", "user", "secret").stdout)
        configuration = directory / "config.yml"
        configuration.write_text(CONFIGURATION % (directory / "data", passwords))
        registry = subprocess.Popen(
            [*cls.node.enter, "docker-registry", "serve", str(configuration)], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        cls.addClassCleanup(registry.wait)
        cls.addClassCleanup(registry.kill)
        until(lambda: cls.node.execute("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                                       "http://127.0.0.1:5000/v2/", check=False).stdout == "401", 10, "the registry")
        cls.node.execute(ROOT / "scripts/make-demo-image", "--name", "127.0.0.1:5000/web:1", "--output",
                         directory / "image.tar", "--push", "http://127.0.0.1:5000", "--push-user", "user:secret")

    def state(self, name):
        return self.node.json("get", "pod", name)["status"].get("containerStatuses", [{}])[0]

    def test_pulls_with_a_pull_secret(self):
        self.node.kubectl("create", "secret", "docker-registry", "pull", "--docker-server=127.0.0.1:5000",
                          "--docker-username=user", "--docker-password=secret")
        self.start_pod("pulled", container={"image": "127.0.0.1:5000/web:1", "imagePullPolicy": "Always"},
                       imagePullSecrets=[{"name": "pull"}])
        digest = self.state("pulled")["imageID"].split("@")[-1]
        self.assertRegex(digest, "^sha256:[0-9a-f]{64}$")
        self.start_pod("by-digest", container={"image": f"127.0.0.1:5000/web@{digest}", "imagePullPolicy": "Always"},
                       imagePullSecrets=[{"name": "pull"}])
        self.assertIn("Successfully pulled image", self.node.kubectl("describe", "pod", "pulled").stdout)

    def test_refusal_is_told(self):
        self.node.apply(self.pod("refused", container={"image": "127.0.0.1:5000/web:1", "imagePullPolicy": "Always"}))
        waiting = lambda: self.state("refused").get("state", {}).get("waiting", {})
        until(lambda: waiting().get("reason") in ("ErrImagePull", "ImagePullBackOff"))
        self.assertIn("Failed to pull image", self.node.kubectl("describe", "pod", "refused").stdout)

    def test_never_pulls_when_told_so(self):
        self.node.apply(self.pod("never", container={"image": "127.0.0.1:5000/other:1", "imagePullPolicy": "Never"}))
        until(lambda: self.state("never").get("state", {}).get("waiting", {}).get("reason") == "ErrImageNeverPull")


class ImagesCommandTests(NodeTestCase):
    def test_export_and_import(self):
        names = [image["names"] for image in json.loads(self.node.swiftlet("images", "list", "-o", "json").stdout)]
        self.assertIn(["docker.io/swiftlet/test:1"], names)
        archive = self.node.directory / "exported.tar"
        self.node.swiftlet("images", "export", "docker.io/swiftlet/test:1", "--output", archive)
        self.node.swiftlet("images", "remove", "docker.io/swiftlet/test:1")
        self.assertNotIn("swiftlet/test", self.node.swiftlet("images", "list").stdout)
        self.node.swiftlet("images", "import", archive)
        self.assertIn("docker.io/swiftlet/test:1", self.node.swiftlet("images", "list").stdout)

    def test_a_corrupt_archive_is_refused(self):
        archive = self.node.directory / "corrupt.tar"
        archive.write_bytes(b"this is no archive" * 100)
        result = self.node.swiftlet("images", "import", archive, check=False)
        self.assertNotEqual(result.returncode, 0)
        self.assertIn(str(archive), result.stderr)


if __name__ == "__main__":
    unittest.main()
