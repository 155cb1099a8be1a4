# SPDX-License-Identifier: Apache-2.0
"""What clients ask of pods and nodes beside running them: their logs in all forms, proxies, classes of runtimes."""

import base64
import re
import unittest

from node import NodeTestCase, until

ECHO = r"""mkdir -p /w/cgi-bin
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\necho M=$REQUEST_METHOD Q=$QUERY_STRING\n' > /w/cgi-bin/echo
chmod +x /w/cgi-bin/echo; echo page > /w/index.html; exec httpd -f -p 8080 -h /w"""


class RequestTests(NodeTestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        text = cls.node.kubeconfig.read_text()
        field = lambda name: re.search(name + r': "?([^\s"]+)', text).group(1)
        cls.server = field("server")
        cls.identity = []
        for option, name in (("--cert", "client-certificate-data"), ("--key", "client-key-data")):
            path = cls.node.directory / name
            path.write_bytes(base64.b64decode(field(name)))
            cls.identity += [option, str(path)]

    def ask(self, path, *options):
        """An HTTP/1.1 answer, head and body."""
        output = self.node.directory / "answer"
        output.write_bytes(b"")
        self.node.execute("curl", "-sik", "--http1.1", "--max-time", "10", "--output", output, *self.identity, *options,
                          self.server + path, check=False)
        return output.read_bytes()

    def raw(self, path):
        return self.node.kubectl("get", "--raw", path, check=False)

    def events(self, name, reason):
        found = self.node.json("get", "events", "--field-selector", f"involvedObject.name={name},reason={reason}")
        return [event["message"] for event in found["items"]]

    def event(self, name, reason):
        return until(lambda: self.events(name, reason), 30, f"event {reason} of {name}")[0]

    def test_generation_counts_wishes(self):
        generation = lambda: self.node.json("get", "pod", "counted")["metadata"]["generation"]
        self.start_pod("counted", "trap '' TERM; sleep 100000", terminationGracePeriodSeconds=20)
        self.assertEqual(generation(), 1)
        self.node.kubectl("label", "pod", "counted", "a=b")
        self.assertEqual(generation(), 1)
        self.node.kubectl("delete", "pod", "counted", "--wait=false")
        self.assertEqual(generation(), 2)
        self.node.kubectl("delete", "pod", "counted", "--grace-period=1")

    def test_refused_logs_tell_why(self):
        self.start_pod("first")
        self.assertEqual(
            self.node.kubectl("logs", "first", "--previous", check=False).stderr,
            'Error from server (BadRequest): previous terminated container "c" in pod "first" not found\n')
        self.finished_pod("over", "echo once")
        self.assertIn('previous terminated container "c" in pod "over" not found',
                      self.node.kubectl("logs", "over", "--previous", check=False).stderr)
        self.node.apply(self.pod("unpulled", container={"image": "127.0.0.1:1/none:1"}))
        begin = 'Error from server (BadRequest): container "c" in pod "unpulled" is waiting to start: '
        log = lambda: self.node.kubectl("logs", "unpulled", check=False).stderr
        until(lambda: log() == begin + "trying and failing to pull image\n", 60, "the back-off")
        wrong = self.raw("/api/v1/namespaces/default/pods/first/log?tailLines=-1")
        self.assertIn('PodLogOptions "first" is invalid: tailLines: Invalid value: -1', wrong.stderr)

    def test_logs_over_a_websocket(self):
        self.finished_pod("talking", "echo spoken")
        key = ["-H", "Connection: Upgrade", "-H", "Upgrade: websocket", "-H", "Sec-WebSocket-Version: 13",
               "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        for protocol, kind, payload in (("", 0x82, b"spoken\n"), ("binary.k8s.io", 0x82, b"spoken\n"),
                                        ("base64.binary.k8s.io", 0x81, base64.b64encode(b"spoken\n"))):
            with self.subTest(protocol):
                offer = ["-H", f"Sec-WebSocket-Protocol: {protocol}"] if protocol else []
                answer = self.ask("/api/v1/namespaces/default/pods/talking/log?container=c", *key, *offer)
                head, _, frames = answer.partition(b"\r\n\r\n")
                self.assertTrue(head.startswith(b"HTTP/1.1 101 "), head)
                self.assertIn(b"s3pplmbitxaq9kygzzhzrbk+xoo=", head.lower())
                self.assertEqual(f"sec-websocket-protocol: {protocol}" in head.decode().lower(), bool(protocol))
                self.assertEqual(frames, bytes([kind, 0, kind, len(payload)]) + payload + b"\x88\x02\x03\xe8")

    def test_proxy_passes_on_every_method(self):
        self.start_pod("echo", ECHO)
        path = "/api/v1/namespaces/default/pods/echo:8080/proxy"
        until(lambda: b"page" in self.ask(path + "/"), 30, "the server in the pod")
        for method in ("GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"):
            answer = self.ask(f"{path}/cgi-bin/echo?a=b", "-X", method)
            self.assertNotIn(b"MethodNotAllowed", answer, method)
        self.assertIn(b"M=GET Q=a=b", self.ask(f"{path}/cgi-bin/echo?a=b"))
        moved = self.ask(path + "?a=b").decode()
        self.assertTrue(moved.startswith("HTTP/1.1 301 "), moved)
        self.assertIn(f"location: {path}/?a=b\r\n".lower(), moved.lower())

    def test_paths_of_the_kubelet(self):
        self.start_pod("listed")
        for node in (self.node.name, f"{self.node.name}:10250"):
            proxy = f"/api/v1/nodes/{node}/proxy"
            self.assertEqual(self.raw(f"{proxy}/healthz/ping").stdout, "ok")
            self.assertEqual(self.raw(f"{proxy}/healthz/syncloop").stdout, "ok")
            self.assertIn("<pre>\n<a href=", self.raw(f"{proxy}/logs/").stdout)
        proxy = f"/api/v1/nodes/{self.node.name}/proxy"
        self.assertIn('"maxPods":110', self.raw(f"{proxy}/configz").stdout)
        self.assertIn('"name":"listed"', self.raw(f"{proxy}/runningpods/").stdout)
        self.assertIn("NotFound", self.raw(f"{proxy}/logs/no-such-log").stderr)

    def test_runtime_classes(self):
        for name, handler in (("known", "runc"), ("unknown", "nonexist")):
            self.node.apply(f'{{"apiVersion":"node.k8s.io/v1","kind":"RuntimeClass","metadata":{{"name":"{name}"}},'
                            f'"handler":"{handler}","overhead":{{"podFixed":{{"memory":"16Mi"}}}}}}')
        self.assertEqual(
            [handler["name"] for handler in self.node.json("get", "node", self.node.name)["status"]["runtimeHandlers"]],
            ["", "runc"])
        self.start_pod("classed", runtimeClassName="known")
        self.assertEqual(self.node.json("get", "pod", "classed")["spec"]["overhead"], {"memory": "16Mi"})
        self.node.apply(self.pod("unclassed", runtimeClassName="unknown"))
        self.assertIn('failed to get sandbox runtime: no runtime for "nonexist" is configured',
                      self.event("unclassed", "FailedCreatePodSandBox"))
        refused = self.node.kubectl("apply", "-f", "-", input=self.pod("refused", runtimeClassName="none"), check=False)
        self.assertIn('pods "refused" is forbidden: pod rejected: RuntimeClass "none" not found', refused.stderr)

    def test_events_keep_what_hooks_print(self):
        hook = {"exec": {"command": ["sh", "-c", "echo secret-out; exit 1"]}}
        self.node.apply(self.pod("hooked", container={"lifecycle": {"postStart": hook}}))
        self.assertEqual(self.event("hooked", "FailedPostStartHook"), "PostStartHook failed")
        self.start_pod("ending", container={"lifecycle": {"preStop": hook}})
        self.node.kubectl("delete", "pod", "ending", "--grace-period=5")
        self.assertEqual(self.event("ending", "FailedPreStopHook"), "PreStopHook failed")

    def test_events_of_refused_pods_give_the_reason_alone(self):
        spec = {"nodeName": self.node.name, "container": {"resources": {"requests": {"cpu": "1000"}}}}
        self.node.apply(self.pod("huge", **spec))
        self.assertTrue(self.event("huge", "OutOfcpu").startswith("Node didn't have enough resource: cpu"))
        self.assertTrue(self.node.json("get", "pod", "huge")["status"]["message"].startswith(
            "Pod was rejected: Node didn't have enough resource: cpu"))

    def test_tokens_kept_in_secrets(self):
        self.node.kubectl("create", "serviceaccount", "robot")
        self.node.apply('{"apiVersion":"v1","kind":"Secret","type":"kubernetes.io/service-account-token","metadata":'
                        '{"name":"robot-token","annotations":{"kubernetes.io/service-account.name":"robot"}}}')
        data = until(lambda: self.node.json("get", "secret", "robot-token").get("data"), what="the token's Secret")
        self.assertIn(data["ca.crt"], self.node.kubeconfig.read_text())
        token = base64.b64decode(data["token"]).decode()
        who = lambda: self.node.kubectl("--token", token, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}",
                                        check=False)
        self.assertEqual(who().stdout, "system:serviceaccount:default:robot")
        self.node.kubectl("delete", "serviceaccount", "robot")
        until(lambda: "NotFound" in self.node.kubectl("get", "secret", "robot-token", check=False).stderr,
              what="the end of the token's Secret")
        self.assertIn("You must be logged in to the server", who().stderr)

    def test_endpoints_without_a_selector_are_mirrored(self):
        self.node.apply('{"apiVersion":"v1","kind":"Service","metadata":{"name":"outside"},'
                        '"spec":{"ports":[{"port":80}]}}')
        self.node.apply('{"apiVersion":"v1","kind":"Endpoints","metadata":{"name":"outside"},'
                        '"subsets":[{"addresses":[{"ip":"192.0.2.7"}],"ports":[{"port":8080}]}]}')
        slices = lambda: self.node.json("get", "endpointslices", "-l", "kubernetes.io/service-name=outside")["items"]
        found = until(slices, what="the slice")[0]
        self.assertEqual(found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"],
                         "endpointslicemirroring-controller.k8s.io")
        self.assertEqual((found["endpoints"][0]["addresses"], found["ports"][0]["port"]), (["192.0.2.7"], 8080))
        address = self.node.json("get", "service", "outside")["spec"]["clusterIP"]
        self.assertEqual(self.node.json("get", "ipaddress", address)["spec"]["parentRef"]["name"], "outside")
        self.node.kubectl("delete", "service", "outside")
        until(lambda: not slices(), what="the end of the slice")
        self.assertIn("NotFound", self.node.kubectl("get", "ipaddress", address, check=False).stderr)


if __name__ == "__main__":
    unittest.main()
