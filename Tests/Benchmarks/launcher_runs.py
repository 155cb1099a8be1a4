# SPDX-License-Identifier: Apache-2.0
"""The launcher alone: a container of /bin/true from its bundle to its removal."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from node import run

RUNS = 200


def measure():
    launcher = pathlib.Path(os.environ["SWIFTLET_BIN"]) / "swiftlet-launcher"
    with tempfile.TemporaryDirectory(prefix="swiftlet-bench-") as name:
        directory = pathlib.Path(name)
        make_bundle(launcher, directory / "bundle")
        # `run` removes the container when its process has ended.
        command = [launcher, "--root", directory / "root", "run", "--bundle", directory / "bundle", "bench"]
        result = directory / "result.json"
        run("hyperfine", "--shell=none", "--warmup", "20", "--runs", str(RUNS), "--export-json", result,
            " ".join(str(word) for word in command))
        timed = run("time", "--format=peak %M", *command)
        # The median: other work on the machine makes the mean mean little.
        seconds = json.loads(result.read_text())["results"][0]["median"]
        return {"time": 1000 * seconds, "memory": int(re.search(r"peak (\d+)", timed.stderr).group(1)) / 1024}


def make_bundle(launcher, bundle):
    """What `spec` gives, with a static busybox as the root and /bin/true as the process."""
    programs = bundle / "rootfs/bin"
    programs.mkdir(parents=True)
    shutil.copy(shutil.which("busybox"), programs / "busybox")
    for link in ("true", "sh"):
        (programs / link).symlink_to("busybox")
    subprocess.run([launcher, "spec", "--bundle", bundle], check=True)
    file = bundle / "config.json"
    specification = json.loads(file.read_text())
    specification["process"].update(args=["/bin/true"], terminal=False)
    file.write_text(json.dumps(specification))
