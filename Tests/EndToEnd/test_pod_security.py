# SPDX-License-Identifier: Apache-2.0
"""Namespaces that say how much their pods may do, as kubectl's user sees them."""

import json
import unittest

from node import IMAGE, NodeTestCase, until

LABEL = "pod-security.kubernetes.io"
COMPLAINT = ('allowPrivilegeEscalation != false (container "c" must set '
             'securityContext.allowPrivilegeEscalation=false)')
CAREFUL = {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "runAsUser": 1000,
           "capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}


class PodSecurityTests(NodeTestCase):
    def namespace(self, name, **labels):
        asked = {f"{LABEL}/{mode}": level for mode, level in labels.items()}
        self.node.apply(json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": asked}}))

    def in_namespace(self, namespace, manifest):
        parsed = json.loads(manifest)
        parsed["metadata"]["namespace"] = namespace
        return json.dumps(parsed)

    def try_apply(self, manifest):
        """kubectl's exit code and what it says on standard error."""
        result = self.node.kubectl("apply", "-f", "-", input=manifest, check=False)
        return result.returncode, result.stderr

    def test_restricted_pods_alone_come_in(self):
        self.namespace("strict", enforce="restricted")
        code, said = self.try_apply(self.in_namespace("strict", self.pod("plain")))
        self.assertEqual(code, 1)
        self.assertIn('pods "plain" is forbidden: violates PodSecurity "restricted:latest": ' + COMPLAINT, said)
        careful = self.in_namespace("strict", self.pod("careful", container={"securityContext": CAREFUL}))
        self.assertEqual(self.try_apply(careful), (0, ""))
        self.node.kubectl("wait", "--for=condition=Ready", "pod/careful", "-n", "strict", "--timeout=30s")
        # Debug containers are held to it as well.
        debug = self.node.kubectl("debug", "careful", "-n", "strict", f"--image={IMAGE}",
                                  "--profile=sysadmin", "--", "true", check=False)
        self.assertNotEqual(debug.returncode, 0)
        self.assertIn('violates PodSecurity "restricted:latest": privileged', debug.stderr)

    def test_a_workload_whose_pods_are_refused_says_so(self):
        self.namespace("warned", enforce="baseline", warn="restricted")
        template = json.loads(self.pod("x", hostNetwork=True))
        replica_set = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "namespace": "warned"},
                       "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "r"}},
                                "template": {"metadata": {"labels": {"app": "r"}}, "spec": template["spec"]}}}
        code, said = self.try_apply(json.dumps(replica_set))
        self.assertEqual(code, 0)
        self.assertIn('Warning: would violate PodSecurity "restricted:latest": host namespaces (hostNetwork=true), '
                      + COMPLAINT, said)
        def told():
            events = self.node.json("get", "events", "-n", "warned", "--field-selector=reason=FailedCreate")["items"]
            return events and events[0]["message"]
        self.assertIn('is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)',
                      until(told))

    def test_tightening_a_namespace_names_its_pods(self):
        self.namespace("later")
        self.assertEqual(self.try_apply(self.in_namespace("later", self.pod("old", hostPID=True)))[0], 0)
        result = self.node.kubectl("label", "namespace", "later", f"{LABEL}/enforce=baseline")
        self.assertEqual(result.stderr, 'Warning: existing pods in namespace "later" violate the new PodSecurity enforce '
                         'level "baseline:latest"\nWarning: old: host namespaces\n')
        result = self.node.kubectl("label", "--overwrite", "namespace", "later", f"{LABEL}/enforce=none", check=False)
        self.assertIn(f'metadata.labels[{LABEL}/enforce]: Invalid value: "none": must be one of privileged, baseline, '
                      'restricted', result.stderr)


if __name__ == "__main__":
    unittest.main()
