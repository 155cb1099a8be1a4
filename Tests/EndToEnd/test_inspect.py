# SPDX-License-Identifier: Apache-2.0
"""`swiftlet inspect`: what a support bundle has, and above all what it has not."""

import json
import pathlib
import stat
import tarfile
import unittest

from journal import JournalTestCase
from node import run, until

PLANTED = "pl4nted"


class InspectTests(JournalTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text = cls.node.configuration.read_text().replace(
            "    127.0.0.1:5000: {insecure: true}",
            f"    127.0.0.1:5000: {{insecure: true, mirrors: ['http://robot:{PLANTED}-1@10.0.0.9:5000']}}"
            f" # the old password was {PLANTED}-2")
        assert PLANTED in text
        cls.node.configuration.write_text(text)
        cls.node.start()
        cls.node.import_test_image()
        cls.plant()

    @classmethod
    def plant(cls):
        """Secrets in every place that a bundle might take something from."""
        node = cls.node
        node.kubectl("create", "secret", "generic", "db", f"--from-literal=password={PLANTED}-3 with spaces",
                     f"--from-literal=note={PLANTED}-4\nand {PLANTED}-5 in a second line")
        node.kubectl("create", "configmap", "settings", f"--from-literal=password={PLANTED}-6")
        pod = json.loads(cls().pod("leaky", "exit 3", container={
            "env": [{"name": "DB_PASSWORD", "value": f"{PLANTED}-7"}, {"name": "OTHER", "value": f"{PLANTED}-8"}],
            "args": [f"--api-token={PLANTED}-9"]}))
        pod["metadata"]["annotations"] = {"note": f"{PLANTED}-10"}
        node.apply(json.dumps(pod))
        node.kubectl("annotate", "node", node.name, f"note={PLANTED}-11")
        node.apply(json.dumps({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": "told", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "leaky"}, "type": "Warning",
            "reason": "Told", "message": f"cannot log in with {PLANTED}-3 with spaces", "source": {"component": "x"}}))
        keys = sorted(pathlib.Path(node.directory, "state/pki").glob("*.key"))
        cls.keys = [line for key in keys for line in key.read_text().splitlines()
                    if line and not line.startswith("-----")]
        assert cls.keys
        cls.tokens = [line.split("/")[1] for line in node.swiftlet(
            "add-node", "--format", "short").stdout.split() if line.count("/") == 2]
        assert cls.tokens
        config = node.kubeconfig.read_text()
        cls.keys.append(config.split("client-key-data: ")[1].split()[0])
        stream, _ = cls.journal.stream("swiftlet")
        with stream:
            for line in (
                f"retrying with password={PLANTED}-12", f'header "Authorization: Bearer {PLANTED}-13"',
                f"the database does not take {PLANTED}-7", f"it said {PLANTED}-4", cls.keys[0],
                f"kubeconfig has {cls.keys[-1]}", f"joined with 10.0.0.1:16443/{cls.tokens[0]}/{'0' * 64}",
                f"https://me:{PLANTED}-14@example.org/ does not answer", "an innocent line",
            ):
                stream.sendall(f"{line}\n".encode())

    def inspect(self, name):
        target = self.node.directory / name
        result = json.loads(self.node.swiftlet("inspect", target, "-o", "json").stdout)
        self.assertEqual(stat.S_IMODE(target.stat().st_mode), 0o600)
        self.assertEqual(target.stat().st_size, result["bytes"])
        self.assertLess(result["bytes"], 8 << 20)
        self.assertEqual([path.name for path in target.parent.glob(f"{name}*")], [name])
        with tarfile.open(target) as archive:
            members = archive.getmembers()
            self.assertFalse([member.name for member in members if member.mode & 0o077])
            files = {member.name.split("/", 1)[1]: archive.extractfile(member).read()
                     for member in members if member.isfile()}
        self.assert_clean(files | {"the findings": json.dumps(result).encode()})
        return result, files

    def assert_clean(self, files):
        for name, content in files.items():
            for secret in [PLANTED, "with spaces", *self.keys, *(token.split(".")[1] for token in self.tokens)]:
                self.assertNotIn(secret.encode(), content, f"{name} has {secret}")
            self.assertNotIn(b"PRIVATE KEY", content, name)

    def test_bundle_has_what_helps_and_no_secret(self):
        until(lambda: "CrashLoopBackOff" in self.node.kubectl("get", "pod", "leaky").stdout, 60, "the crash loop")
        certificate = self.node.directory / "state/pki/apiserver-kubelet-client.crt"
        self.addCleanup(certificate.write_bytes, certificate.read_bytes())
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=kube-apiserver-kubelet-client", "-days", "3", "-keyout", "/dev/null", "-out", certificate)
        result, files = self.inspect("running.tar.gz")
        found = {finding["subject"]: finding for finding in result["findings"]}
        self.assertIn("CrashLoopBackOff", found["pod default/leaky"]["summary"])
        stranger = found["certificate apiserver-kubelet-client"]
        self.assertEqual(stranger["severity"], "error")
        self.assertIn("untrusted", stranger["summary"])
        self.assertNotIn("agent", found)
        for name, expected in {
            "logs/agent.log": b"an innocent line", "configuration.yaml": b"cgroupRoot", "status.json": b'"ready": true',
            "checks.json": b'"severity"', "version.json": b"kubernetes", "mounts.txt": b" / ",
            "cgroups.txt": b"memory.", "network/links.txt": b"swiftlet0", "network/routes.txt": b"default via",
            "network/nftables.txt": b"table inet swiftlet", "storage.txt": b"store.db", "objects/pods.json": b"leaky",
            "objects/nodes.json": self.node.name.encode(), "objects/events.json": b"cannot log in with [removed]",
            "objects/counts.json": b'"secrets": ', "containers.json": b"leaky", "system/memory.txt": b"MemTotal",
        }.items():
            self.assertIn(expected, files[name], name)
        self.assertIn(b"retrying with password=[removed]", files["logs/agent.log"])

    def test_works_without_the_agent(self):
        self.node.stop()
        try:
            result, files = self.inspect("stopped.tar.gz")
        finally:
            self.node.start()
        self.assertEqual(result["findings"][0]["subject"], "agent")
        self.assertIn(b"an innocent line", files["logs/agent.log"])
        self.assertIn(b"leaky", files["containers.json"])

    def test_broken_configuration_is_a_finding(self):
        broken = self.node.directory / "broken.yaml"
        broken.write_text(f"nodename: x # {PLANTED}\n")
        target = self.node.directory / "broken.tar.gz"
        result = self.node.execute(self.node.binaries / "swiftlet", "inspect", "--config", broken, target)
        self.assertIn("nodename: unknown field", result.stdout)
        self.assertNotIn(PLANTED, result.stdout)
        self.assertTrue(target.exists())


if __name__ == "__main__":
    unittest.main()
