# SPDX-License-Identifier: Apache-2.0
"""The images of the tests, as archives, each made once.

Packages of Debian go into them, and tests run without a way to a mirror: scripts/end-to-end runs this file first."""

import pathlib
import subprocess
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEST = "docker.io/swiftlet/test:1"
MARIADB = "docker.io/swiftlet/mariadb:1"

# What mysql's usual image's entry point does: make the system tables once, then serve with the password that was given.
ENTRY_POINT = """#!/bin/sh
set -e
chown mysql:mysql /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db >/dev/null
fi
echo "ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';" >/run/mysqld/init.sql
exec mariadbd --user=mysql --datadir=/var/lib/mysql --init-file=/run/mysqld/init.sql
"""


def test():
    """busybox; most pods of the tests run it."""
    return _made("test-image.tar", TEST)


def mariadb():
    """Debian's mariadb, started as mysql's image starts its server."""
    with tempfile.TemporaryDirectory() as directory:
        entry = pathlib.Path(directory) / "entrypoint"
        entry.write_text(ENTRY_POINT)
        return _made(
            "mariadb-image.tar", MARIADB, "--debs", "mariadb-server-core", "mariadb-client-core", "mariadb-server",
            "bash", "coreutils", "base-passwd", "sed", "gawk", "hostname",
            "--add-user", "mysql:999:999:/var/lib/mysql", "--file", f"{entry}:/entrypoint:755",
            "--run", "mkdir -p /var/lib/mysql /run/mysqld /tmp && chown mysql:mysql /var/lib/mysql /run/mysqld",
            "--entrypoint", "/entrypoint")


def _made(file, name, *arguments):
    archive = ROOT / ".build" / file
    if not archive.exists():
        archive.parent.mkdir(exist_ok=True)
        # Half an archive under its final name would be taken for a whole one the next time.
        part = archive.with_suffix(".part")
        subprocess.run([ROOT / "scripts/make-demo-image", "--name", name, "--output", part, *arguments], check=True)
        part.rename(archive)
    return archive


if __name__ == "__main__":
    test()
    mariadb()
