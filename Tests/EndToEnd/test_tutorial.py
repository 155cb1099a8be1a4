# SPDX-License-Identifier: Apache-2.0
"""The database of a typical Kubernetes tutorial: volume, claim, headless Service and a Deployment that recreates."""

import unittest

from node import ROOT, NodeTestCase, run, until

IMAGE = "docker.io/swiftlet/mariadb:1"

MANIFEST = """
apiVersion: v1
kind: PersistentVolume
metadata:
  name: mysql-pv-volume
  labels: {type: local}
spec:
  storageClassName: manual
  capacity: {storage: 20Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: "%(data)s"}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: mysql-pv-claim}
spec:
  storageClassName: manual
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 20Gi}}
---
apiVersion: v1
kind: Service
metadata: {name: mysql}
spec:
  ports: [{port: 3306}]
  selector: {app: mysql}
  clusterIP: None
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: mysql}
spec:
  selector: {matchLabels: {app: mysql}}
  strategy: {type: Recreate}
  template:
    metadata: {labels: {app: mysql}}
    spec:
      containers:
      - image: %(image)s
        name: mysql
        env:
        - {name: MYSQL_ROOT_PASSWORD, value: password}
        ports:
        - {containerPort: 3306, name: mysql}
        volumeMounts:
        - {name: mysql-persistent-storage, mountPath: /var/lib/mysql}
      volumes:
      - name: mysql-persistent-storage
        persistentVolumeClaim: {claimName: mysql-pv-claim}
"""

# What the usual image's entry point does: make the system tables once, then serve with the password that was given.
ENTRY_POINT = """#!/bin/sh
set -e
chown mysql:mysql /var/lib/mysql
if [ ! -d /var/lib/mysql/mysql ]; then
    mariadb-install-db --user=mysql --datadir=/var/lib/mysql --skip-test-db >/dev/null
fi
echo "ALTER USER root@localhost IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';" >/run/mysqld/init.sql
exec mariadbd --user=mysql --datadir=/var/lib/mysql --init-file=/run/mysqld/init.sql
"""


class TutorialTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        archive = ROOT / ".build" / "mariadb-image.tar"
        if not archive.exists():
            entry = cls.node.directory / "entrypoint"
            entry.write_text(ENTRY_POINT)
            run(ROOT / "scripts/make-demo-image", "--name", IMAGE, "--output", archive, "--debs", "mariadb-server-core",
                "mariadb-client-core", "mariadb-server", "bash", "coreutils", "base-passwd", "sed", "gawk", "hostname",
                "--add-user", "mysql:999:999:/var/lib/mysql", "--file", f"{entry}:/entrypoint:755",
                "--run", "mkdir -p /var/lib/mysql /run/mysqld /tmp && chown mysql:mysql /var/lib/mysql /run/mysqld",
                "--entrypoint", "/entrypoint")
        cls.node.swiftlet("images", "import", archive)

    def sql(self, statement, check=True):
        return self.node.kubectl("exec", "deployment/mysql", "--", "mariadb", "-ppassword", "-N", "-e", statement,
                                 check=check)

    def test_data_survives_the_pod(self):
        node = self.node
        data = node.directory / "data"
        data.mkdir()
        node.apply(MANIFEST % {"data": data, "image": IMAGE})
        until(lambda: node.json("get", "pvc", "mysql-pv-claim")["status"].get("phase") == "Bound", 15, "the binding")
        node.kubectl("rollout", "status", "deployment/mysql", "--timeout=90s")
        until(lambda: self.sql("SELECT 1", check=False).returncode == 0, 90, "the server's answer")
        self.sql("CREATE DATABASE shop; CREATE TABLE shop.orders (id INT); INSERT INTO shop.orders VALUES (42)")
        pod = node.json("get", "pods", "-l", "app=mysql")["items"][0]["metadata"]["name"]
        node.kubectl("delete", "pod", pod)
        until(lambda: self.sql("SELECT 1", check=False).returncode == 0, 90, "the new server's answer")
        self.assertEqual(self.sql("SELECT id FROM shop.orders").stdout.strip(), "42")
        addresses = node.json("get", "endpoints", "mysql")["subsets"][0]["addresses"]
        self.assertEqual(len(addresses), 1)


if __name__ == "__main__":
    unittest.main()
