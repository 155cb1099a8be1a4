# SPDX-License-Identifier: Apache-2.0
"""The database of a typical Kubernetes tutorial: volume, claim, headless Service and a Deployment that recreates."""

import unittest

import images
from node import NodeTestCase, until

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

class TutorialTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node.swiftlet("images", "import", images.mariadb())

    def sql(self, statement, check=True):
        return self.node.kubectl("exec", "deployment/mysql", "--", "mariadb", "-ppassword", "-N", "-e", statement,
                                 check=check)

    def test_data_survives_the_pod(self):
        node = self.node
        data = node.directory / "data"
        data.mkdir()
        node.apply(MANIFEST % {"data": data, "image": images.MARIADB})
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
