#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Assembles the Debian package from built programs. The same input gives the same bytes.

  make_deb.py --arch ARCH --binaries DIR --run "COMMAND PREFIX" --strip PROGRAM --epoch SECONDS --output DIR
"""
import argparse
import gzip
import hashlib
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))
import man_pages  # noqa: E402

MAINTAINER = "The Swiftlet developers <maintainers@swiftlet.example>"
# Library -> the packages that have it (Debian 13 and Ubuntu 24.04 renamed some for 64-bit time).
PACKAGES = {
    "libssl.so.3": "libssl3t64 | libssl3", "libcrypto.so.3": "libssl3t64 | libssl3", "libz.so.1": "zlib1g",
    "libzstd.so.1": "libzstd1", "libnftables.so.1": "libnftables1 (>= 1.0.2)", "libseccomp.so.2": "libseccomp2 (>= 2.5.0)",
    "libsqlite3.so.0": "libsqlite3-0 (>= 3.40)", "libgcc_s.so.1": "libgcc-s1",
}
LIBC = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "ld-linux-aarch64.so.1",
        "ld-linux-x86-64.so.2", "libutil.so.1", "libresolv.so.2"}
# GLIBCXX version -> the first GCC with it.
GLIBCXX = {"3.4.29": "11", "3.4.30": "12", "3.4.31": "13", "3.4.32": "13.2", "3.4.33": "14"}


def fail(text):
    sys.exit(f"make_deb: {text}")


def output_of(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def number(version):
    return tuple(int(part) for part in version.split("."))


def dependencies(binary):
    """Depends, from the libraries and symbol versions that the program names (what dpkg-shlibdeps does, for any machine)."""
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "--dynamic", "--wide", binary))
    versions = output_of("readelf", "--version-info", "--wide", binary)

    def newest(prefix):
        found = re.findall(rf"\b{prefix}_(\d+(?:\.\d+)*)\b", versions)
        return max(found, key=number, default=None)

    result = set()
    for library in needed:
        if library in LIBC:
            oldest = "2.36" if "GLIBC_ABI_DT_RELR" in versions else "2.17"
            result.add(f"libc6 (>= {max(newest('GLIBC'), oldest, key=number)})")
        elif library == "libstdc++.so.6":
            result.add(f"libstdc++6 (>= {GLIBCXX.get(newest('GLIBCXX'), '12')})")
        elif library == "libsystemd.so.0":
            result.add(f"libsystemd0 (>= {newest('LIBSYSTEMD')})")
        elif library in PACKAGES:
            result.add(PACKAGES[library])
        else:
            fail(f"the program needs {library}, and PACKAGES does not say which package has it")
    # Programs that are started: mounting, and the rules that users look at.
    return sorted(result) + ["ca-certificates", "nftables"]


def product_version():
    text = (ROOT / "Sources/Cluster/SwiftletCore/ProductVersion.swift").read_text()
    return re.search(r'static let swiftlet = "([^"]+)"', text).group(1)


def sbom(version, epoch):
    """An SPDX 2.3 document of the package and of the Swift packages linked into it."""
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch))
    packages = [{"SPDXID": "SPDXRef-swiftlet", "name": "swiftlet", "versionInfo": version,
                 "downloadLocation": "NOASSERTION", "licenseConcluded": "Apache-2.0", "licenseDeclared": "Apache-2.0",
                 "copyrightText": "NOASSERTION", "filesAnalyzed": False}]
    relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                  "relatedSpdxElement": "SPDXRef-swiftlet"}]
    resolved = ROOT / "Package.resolved"
    if not resolved.exists():
        fail("Package.resolved, from which the SBOM is made, is not there: a build writes it; run scripts/build-deb")
    pins = json.loads(resolved.read_text())["pins"]
    for pin in sorted(pins, key=lambda pin: pin["identity"]):
        identifier = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", pin["identity"])
        location, state = pin["location"].removesuffix(".git"), pin["state"]
        packages.append({
            "SPDXID": identifier, "name": pin["identity"], "versionInfo": state.get("version", state["revision"]),
            "downloadLocation": f"git+{location}@{state['revision']}", "licenseConcluded": "NOASSERTION",
            "licenseDeclared": "NOASSERTION", "copyrightText": "NOASSERTION", "filesAnalyzed": False,
            "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator":
                              f"pkg:swift/{location.removeprefix('https://')}@{state.get('version', state['revision'])}"}]})
        relations.append({"spdxElementId": "SPDXRef-swiftlet", "relationshipType": "DEPENDS_ON",
                          "relatedSpdxElement": identifier})
    digest = hashlib.sha256(json.dumps(packages, sort_keys=True).encode()).hexdigest()
    return json.dumps({
        "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": f"swiftlet-{version}",
        "documentNamespace": f"https://spdx.org/spdxdocs/swiftlet-{version}-{digest[:32]}",
        "creationInfo": {"created": created, "creators": ["Tool: make_deb.py"]},
        "packages": packages, "relationships": relations}, indent=1) + "\n"


class Tree:
    """The package's files."""

    def __init__(self, directory):
        self.root = pathlib.Path(directory)

    def write(self, path, content, mode=0o644):
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
        target.chmod(mode)

    def compressed(self, path, text):
        self.write(path, gzip.compress(text.encode(), 9, mtime=0))


def add_programs(tree, options):
    for name, place in (("swiftlet", "usr/bin"), ("swiftlet-launcher", "usr/libexec/swiftlet")):
        target = tree.root / place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([options.strip, "--strip-all", "--remove-section=.comment", "--remove-section=.note", "-o", target,
                        pathlib.Path(options.binaries) / name], check=True)
        target.chmod(0o755)


def add_texts(tree, options, version):
    program = [*shlex.split(options.run), str(pathlib.Path(options.binaries) / "swiftlet")]
    defaults = output_of(*program, "config", "defaults")
    tree.write("etc/swiftlet/config.yaml", defaults)
    date = time.strftime("%Y-%m-%d", time.gmtime(options.epoch))
    dump = json.loads(output_of(*program, "--experimental-dump-help"))
    tree.compressed("usr/share/man/man1/swiftlet.1.gz", man_pages.commands(dump, version, date))
    tree.compressed("usr/share/man/man5/swiftlet-config.5.gz", man_pages.configuration(defaults, version, date))
    for shell, path in (("bash", "usr/share/bash-completion/completions/swiftlet"),
                        ("zsh", "usr/share/zsh/vendor-completions/_swiftlet"),
                        ("fish", "usr/share/fish/vendor_completions.d/swiftlet.fish")):
        script = output_of(*program, "--generate-completion-script", shell)
        # bash-completion sources its files: a line that names an interpreter has no place there.
        tree.write(path, script.removeprefix("#!/bin/bash\n").lstrip("\n"))
    for unit in sorted((ROOT / "packaging/systemd").iterdir()):
        tree.write(f"usr/lib/systemd/system/{unit.name}", unit.read_bytes())
    documents = "usr/share/doc/swiftlet"
    tree.write(f"{documents}/user-guide.md", (ROOT / "docs/user-guide.md").read_bytes())
    tree.write(f"{documents}/copyright", (ROOT / "packaging/debian/copyright").read_bytes())
    tree.write(f"{documents}/swiftlet.spdx.json", sbom(version, options.epoch))
    stamp = time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime(options.epoch))
    tree.compressed(f"{documents}/changelog.gz", (
        f"swiftlet ({version}) unstable; urgency=medium\n\n  * Release {version}.\n\n -- {MAINTAINER}  {stamp}\n"))
    overrides = ROOT / "packaging/debian/lintian-overrides"
    tree.write("usr/share/lintian/overrides/swiftlet", overrides.read_bytes())


def add_control(tree, options, version):
    files = sorted(path for path in tree.root.rglob("*") if path.is_file())
    size = sum((path.stat().st_size + 1023) // 1024 for path in files)
    depends = ", ".join(dependencies(tree.root / "usr/bin/swiftlet"))
    sums = "".join(f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree.root)}\n" for path in files
                   if "etc" != path.relative_to(tree.root).parts[0])
    tree.write("DEBIAN/md5sums", sums)
    tree.write("DEBIAN/conffiles", "/etc/swiftlet/config.yaml\n")
    tree.write("DEBIAN/control", f"""\
Package: swiftlet
Version: {version}
Architecture: {options.arch}
Maintainer: {MAINTAINER}
Installed-Size: {size}
Depends: {depends}
Recommends: iproute2, systemd
Suggests: kubernetes-client
Section: admin
Priority: optional
Description: small, complete Kubernetes for ARM boards
 One agent holds the API server, the scheduler, the controllers, the node's
 kubelet and the store; an OCI runtime of its own starts containers. It speaks
 the API of Kubernetes, so that kubectl and its manifests work as they are.
""")
    for script in ("preinst", "postinst", "prerm", "postrm"):
        tree.write(f"DEBIAN/{script}", (ROOT / "packaging/debian" / script).read_bytes(), 0o755)
    return size


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", required=True)
    parser.add_argument("--binaries", required=True)
    parser.add_argument("--run", default="", help="what runs the program here, for another machine's: an emulator")
    parser.add_argument("--strip", default="strip")
    parser.add_argument("--epoch", type=int, required=True)
    parser.add_argument("--version", default=product_version(), help="another version, to try upgrades")
    parser.add_argument("--output", required=True)
    options = parser.parse_args()
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="swiftlet-deb.") as work:
        tree = Tree(os.path.join(work, "root"))
        tree.root.mkdir()
        add_programs(tree, options)
        add_texts(tree, options, options.version)
        size = add_control(tree, options, options.version)
        for path in [tree.root, *tree.root.rglob("*")]:
            if path.is_dir():
                path.chmod(0o755)
            os.utime(path, (options.epoch, options.epoch), follow_symlinks=False)
        name = f"swiftlet_{options.version}_{options.arch}.deb"
        os.makedirs(options.output, exist_ok=True)
        target = pathlib.Path(options.output) / name
        # One thread: blocks of several would make the bytes depend on the machine.
        subprocess.run(["dpkg-deb", "--root-owner-group", "-Zxz", "-z9", "-Sextreme", "--threads-max=1", "--build", tree.root,
                        os.path.join(work, name)], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "SOURCE_DATE_EPOCH": str(options.epoch)})
        shutil.move(os.path.join(work, name), target)
    print(f"{target}: {target.stat().st_size / 1e6:.1f} MB, installed {size / 1024:.1f} MiB", file=sys.stderr)
    print(target)


if __name__ == "__main__":
    main()
