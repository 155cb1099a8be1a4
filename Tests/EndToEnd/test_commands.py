# SPDX-License-Identifier: Apache-2.0
"""Every verb of the command line: its help, its examples and its JSON."""

import json
import subprocess
import tempfile
import unittest

from node import BIN

# What has no result to print: the agent itself, kubectl (whose help is its own), and an archive.
WITHOUT_JSON = {"run", "kubectl", "images export", "help"}


def call(*arguments, **options):
    return subprocess.run([BIN / "swiftlet", *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          **options)


def verbs(command, path=()):
    """The commands that do something, with their arguments."""
    children = [child for child in command.get("subcommands", []) if child["commandName"] != "help"]
    for child in children:
        yield from verbs(child, (*path, child["commandName"]))
    if path and not children:
        yield " ".join(path), command


class CommandTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tree = json.loads(call("--experimental-dump-help").stdout)["command"]
        cls.verbs = dict(verbs(cls.tree))

    def test_all_verbs_are_walked(self):
        for name in ("status", "inspect", "join", "token revoke", "images import", "config check", "restore"):
            self.assertIn(name, self.verbs)

    def test_help_has_examples(self):
        for name in {*self.verbs, "images", "config", "token"} - {"kubectl"}:
            with self.subTest(name):
                result = call(*name.split(), "--help")
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertRegex(result.stdout, "Examples?:\n")
                examples = result.stdout.split("Example", 1)[1].split("USAGE:")[0]
                self.assertIn(f"swiftlet {name}", examples)

    def test_results_come_as_json(self):
        for name, command in self.verbs.items():
            with self.subTest(name):
                values = [argument for argument in command["arguments"]
                          if any(option == {"kind": "short", "name": "o"} for option in argument.get("names", []))]
                if name in WITHOUT_JSON:
                    continue
                self.assertEqual(len(values), 1)
                self.assertIn("json", values[0]["abstract"])

    def test_examples_are_taken(self):
        """The options of every example exist: a missing file or agent is another complaint than an unknown option."""
        for name in self.verbs:
            if name in ("run", "kubectl", "reset", "start", "stop", "restart", "logs", "inspect", "images pull"):
                continue
            text = call(*name.split(), "--help").stdout
            for line in text.split("Example", 1)[1].split("USAGE:")[0].splitlines():
                line = line.strip().split("  #")[0].split(" > ")[0].split("&&")[-1].split("|")[-1].strip()
                words = line.removeprefix("sudo ").split()
                if words[:1] + name.split() != words[:1 + name.count(" ") + 1] or "$(" in line:
                    continue
                if "--wait-ready" in words or "--fix" in words:
                    continue
                with self.subTest(line), tempfile.TemporaryDirectory() as directory:
                    configuration = f"{directory}/config.yaml"
                    with open(configuration, "w") as file:
                        file.write(f"directories: {{state: {directory}/state, run: {directory}/run, "
                                   f"configuration: {directory}/etc}}\napi: {{port: 1}}\n")
                    if name not in ("version", "config check", "config defaults"):
                        words += ["--config", configuration]
                    result = call(*words[1:], cwd=directory, timeout=60)
                    self.assertNotRegex(result.stderr, "Unknown option|Unexpected argument|Missing value")

    def test_json_of_what_needs_no_node(self):
        self.assertIn("swiftlet", json.loads(call("version", "-o", "json").stdout))
        defaults = json.loads(call("config", "defaults", "-o", "json").stdout)
        self.assertEqual(defaults["api"]["port"], 16443)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("api: {port: 7443}\n")
            file.flush()
            self.assertTrue(json.loads(call("config", "check", file.name, "-o", "json").stdout)["valid"])


if __name__ == "__main__":
    unittest.main()
