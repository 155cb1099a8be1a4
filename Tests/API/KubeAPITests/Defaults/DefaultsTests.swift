// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// A body as the API keeps it: checked and defaulted; defaulting again must change nothing.
private func admitted(_ text: String, _ group: String, _ version: String, _ kind: String) throws -> JSON {
    let kind = GroupVersionKind(group, version, kind)
    var json = try ObjectRules.check(JSON.parse(text), kind: kind, strictness: .strict).json
    ObjectRules.applyDefaults(&json, kind: kind)
    var again = json
    ObjectRules.applyDefaults(&again, kind: kind)
    #expect(again == json)
    return json
}

struct DefaultsTests {
    @Test func podAsUpstreamReturnsIt() throws {
        let text = #"""
            {"metadata":{"name":"x"},"spec":{"serviceAccount":"robot","containers":[{"name":"a","image":"nginx",\#
            "ports":[{"containerPort":80}],"readinessProbe":{"httpGet":{"port":80}},\#
            "env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],\#
            "resources":{"limits":{"cpu":"500m"}}}],\#
            "volumes":[{"name":"v"},{"name":"c","configMap":{"name":"c"}},{"name":"h","hostPath":{"path":"/x"}}]}}
            """#
        let expected = #"""
            {"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"},"spec":{"containers":[{"name":"a","image":"nginx",\#
            "imagePullPolicy":"Always","ports":[{"containerPort":80,"protocol":"TCP"}],\#
            "readinessProbe":{"httpGet":{"port":80,"path":"/","scheme":"HTTP"},"timeoutSeconds":1,"periodSeconds":10,\#
            "successThreshold":1,"failureThreshold":3},\#
            "env":[{"name":"N","valueFrom":{"fieldRef":{"fieldPath":"metadata.name","apiVersion":"v1"}}}],\#
            "resources":{"limits":{"cpu":"500m"},"requests":{"cpu":"500m"}},\#
            "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],\#
            "volumes":[{"name":"v","emptyDir":{}},{"name":"c","configMap":{"name":"c","defaultMode":420}},\#
            {"name":"h","hostPath":{"path":"/x","type":""}}],"restartPolicy":"Always","dnsPolicy":"ClusterFirst",\#
            "terminationGracePeriodSeconds":30,"securityContext":{},"schedulerName":"default-scheduler",\#
            "serviceAccount":"robot","serviceAccountName":"robot","enableServiceLinks":true},"status":{}}
            """#
        let pod = try admitted(text, "", "v1", "Pod")
        #expect(pod == (try JSON.parse(expected)), "\(pod)")
    }

    @Test(arguments: [
        ("nginx", "Always"), ("nginx:latest", "Always"), ("nginx:1.2", "IfNotPresent"),
        ("reg:5000/nginx", "Always"), ("reg:5000/a/nginx:1", "IfNotPresent"), ("nginx@sha256:00", "IfNotPresent"),
        ("nginx:latest@sha256:00", "Always"), ("", "IfNotPresent"),
    ])
    func pullPolicyFollowsTheTag(image: String, policy: String) {
        #expect(PodDefaults.pullPolicy(of: image) == policy)
    }

    @Test func deploymentAsUpstreamReturnsIt() throws {
        let text = #"""
            {"metadata":{"name":"x"},"spec":{"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":\#
            {"a":"b"}},"spec":{"containers":[{"name":"a","image":"i:1","resources":{"limits":{"cpu":"1"}}}]}}}}
            """#
        let spec = try #require(try admitted(text, "apps", "v1", "Deployment")["spec"])
        #expect(spec["replicas"] == 1)
        #expect(
            spec["strategy"] == [
                "type": "RollingUpdate", "rollingUpdate": ["maxUnavailable": "25%", "maxSurge": "25%"],
            ])
        #expect(spec["revisionHistoryLimit"] == 10)
        #expect(spec["progressDeadlineSeconds"] == 600)
        let template = try #require(spec["template"]?["spec"])
        #expect(template["restartPolicy"] == "Always")
        // Requests from limits and service links are a pod's, not a template's.
        #expect(template["containers"]?[0]?["resources"] == ["limits": ["cpu": "1"]])
        #expect(template["enableServiceLinks"] == nil)
    }

    @Test func recreateHasNoRollingUpdate() throws {
        let json = try admitted(#"{"spec":{"strategy":{"type":"Recreate"}}}"#, "apps", "v1", "Deployment")
        #expect(json["spec"]?["strategy"] == ["type": "Recreate"])
    }

    @Test func services() throws {
        let plain = try admitted(#"{"spec":{"ports":[{"port":80},{"port":1,"targetPort":"x"}]}}"#, "", "v1", "Service")
        #expect(
            plain["spec"] == [
                "ports": [
                    ["port": 80, "protocol": "TCP", "targetPort": 80],
                    ["port": 1, "protocol": "TCP", "targetPort": "x"],
                ], "sessionAffinity": "None", "type": "ClusterIP", "internalTrafficPolicy": "Cluster",
            ])
        #expect(plain["status"] == ["loadBalancer": [:]])
        let balanced = try admitted(
            #"{"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP"}}"#, "", "v1", "Service")
        #expect(balanced["spec"]?["externalTrafficPolicy"] == "Cluster")
        #expect(balanced["spec"]?["allocateLoadBalancerNodePorts"] == true)
        #expect(balanced["spec"]?["sessionAffinityConfig"] == ["clientIP": ["timeoutSeconds": 10800]])
        let external = try admitted(#"{"spec":{"type":"ExternalName","externalName":"a.b"}}"#, "", "v1", "Service")
        #expect(external["spec"]?["internalTrafficPolicy"] == nil)
    }

    @Test func hostNetworkPortsAreHostPorts() throws {
        let text = #"{"spec":{"hostNetwork":true,"containers":[{"name":"a","ports":[{"containerPort":9}]}]}}"#
        #expect(try admitted(text, "", "v1", "Pod")["spec"]?["containers"]?[0]?["ports"]?[0]?["hostPort"] == 9)
    }

    @Test func secretsTakeTexts() throws {
        let json = try admitted(#"{"stringData":{"a":"hi","b":""},"data":{"a":"eA=="}}"#, "", "v1", "Secret")
        #expect(json["data"] == ["a": "aGk=", "b": ""])
        #expect(json["stringData"] == nil)
        #expect(json["type"] == "Opaque")
    }

    @Test func namespacesAreLabelled() throws {
        let json = try admitted(#"{"metadata":{"name":"x"}}"#, "", "v1", "Namespace")
        #expect(json["metadata"]?["labels"] == ["kubernetes.io/metadata.name": "x"])
        #expect(json["status"]?["phase"] == "Active")
    }

    @Test func volumesAndClaims() throws {
        let volume = try admitted(#"{"spec":{"hostPath":{"path":"/a"}}}"#, "", "v1", "PersistentVolume")
        #expect(volume["spec"]?["persistentVolumeReclaimPolicy"] == "Retain")
        #expect(volume["spec"]?["volumeMode"] == "Filesystem")
        #expect(volume["spec"]?["hostPath"]?["type"] == "")
        #expect(volume["status"]?["phase"] == "Pending")
        let claim = try admitted(#"{"spec":{}}"#, "", "v1", "PersistentVolumeClaim")
        #expect(claim["spec"] == ["resources": [:], "volumeMode": "Filesystem"])
        #expect(claim["status"]?["phase"] == "Pending")
    }

    @Test func bindingsNameTheirGroup() throws {
        let text = #"""
            {"subjects":[{"kind":"User","name":"a"},{"kind":"ServiceAccount","name":"b"}],\#
            "roleRef":{"kind":"Role","name":"r"}}
            """#
        let json = try admitted(text, "rbac.authorization.k8s.io", "v1", "RoleBinding")
        #expect(json["roleRef"]?["apiGroup"] == "rbac.authorization.k8s.io")
        #expect(json["subjects"]?[0]?["apiGroup"] == "rbac.authorization.k8s.io")
        #expect(json["subjects"]?[1]?["apiGroup"] == nil)
    }

    @Test func jobs() throws {
        let job = try admitted(#"{"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}"#, "batch", "v1", "Job")
        #expect(job["spec"]?["completions"] == 1)
        #expect(job["spec"]?["backoffLimit"] == 6)
        #expect(job["spec"]?["completionMode"] == "NonIndexed")
        #expect(job["metadata"]?["labels"] == ["a": "b"])
        let parallel = try admitted(#"{"spec":{"parallelism":3}}"#, "batch", "v1", "Job")
        #expect(parallel["spec"]?["completions"] == nil)
        let cron = try admitted(#"{"spec":{"schedule":"* * * * *"}}"#, "batch", "v1", "CronJob")
        #expect(cron["spec"]?["concurrencyPolicy"] == "Allow")
        #expect(cron["spec"]?["successfulJobsHistoryLimit"] == 3)
        #expect(cron["spec"]?["suspend"] == false)
    }

    @Test func limitRangesFillUp() throws {
        let text = #"{"spec":{"limits":[{"type":"Container","max":{"cpu":"2"},"min":{"memory":"1Mi"}}]}}"#
        let limit = try #require(try admitted(text, "", "v1", "LimitRange")["spec"]?["limits"]?[0])
        #expect(limit["default"] == ["cpu": "2"])
        #expect(limit["defaultRequest"] == ["cpu": "2", "memory": "1Mi"])
    }

    @Test func podLevelRequestsFollowLimitsAndContainers() throws {
        let text = #"""
            {"spec":{"resources":{"limits":{"cpu":"2","memory":"1Gi"}},"containers":[\#
            {"name":"a","resources":{"requests":{"cpu":"300m"}}},{"name":"b","resources":{"requests":{"cpu":"200m"}}}]}}
            """#
        let resources = try admitted(text, "", "v1", "Pod")["spec"]?["resources"]
        #expect(resources?["requests"] == ["cpu": "500m", "memory": "1Gi"])
    }

    @Test func autoscalersHaveAMetric() throws {
        let json = try admitted(#"{"spec":{"maxReplicas":3}}"#, "autoscaling", "v2", "HorizontalPodAutoscaler")
        #expect(json["spec"]?["minReplicas"] == 1)
        #expect(json["spec"]?["metrics"]?[0]?["resource"]?["target"]?["averageUtilization"] == 80)
    }
}
