// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

/// Manifests that people use must pass whole: strictly typed, defaulted and valid, and an update of what was stored too.
struct AcceptanceTests {
    private static let manifests: [(GroupVersionKind, String)] = [
        // The MySQL example of a typical tutorial.
        (
            GroupVersionKind("", "v1", "PersistentVolume"),
            #"""
            {"metadata":{"name":"mysql-pv-volume","labels":{"type":"local"}},"spec":{"storageClassName":"manual",
            "capacity":{"storage":"20Gi"},"accessModes":["ReadWriteOnce"],"hostPath":{"path":"/mnt/data"}}}
            """#
        ),
        (
            GroupVersionKind("", "v1", "PersistentVolumeClaim"),
            #"""
            {"metadata":{"name":"mysql-pv-claim","namespace":"default"},"spec":{"storageClassName":"manual",
            "accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"20Gi"}}}}
            """#
        ),
        (
            GroupVersionKind("", "v1", "Service"),
            #"""
            {"metadata":{"name":"mysql","namespace":"default"},"spec":{"ports":[{"port":3306}],
            "selector":{"app":"mysql"},"clusterIP":"None"}}
            """#
        ),
        (
            GroupVersionKind("apps", "v1", "Deployment"),
            #"""
            {"metadata":{"name":"mysql","namespace":"default"},"spec":{"selector":{"matchLabels":{"app":"mysql"}},
            "strategy":{"type":"Recreate"},"template":{"metadata":{"labels":{"app":"mysql"}},"spec":{"containers":[
            {"image":"mysql:5.6","name":"mysql","env":[{"name":"MYSQL_ROOT_PASSWORD","value":"password"}],
            "ports":[{"containerPort":3306,"name":"mysql"}],
            "volumeMounts":[{"name":"mysql-persistent-storage","mountPath":"/var/lib/mysql"}]}],
            "volumes":[{"name":"mysql-persistent-storage","persistentVolumeClaim":{"claimName":"mysql-pv-claim"}}]}}}}
            """#
        ),
        // A pod as the service-account admission leaves it, with a sidecar, probes and every kind of volume.
        (
            GroupVersionKind("", "v1", "Pod"),
            #"""
            {"metadata":{"generateName":"web-","name":"web-x7k2p","namespace":"default","ownerReferences":[
            {"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web","uid":"u","controller":true,
            "blockOwnerDeletion":true}]},"spec":{"serviceAccountName":"default","nodeName":"n1","priority":0,
            "preemptionPolicy":"PreemptLowerPriority","tolerations":[{"key":"node.kubernetes.io/not-ready",
            "operator":"Exists","effect":"NoExecute","tolerationSeconds":300}],
            "initContainers":[{"name":"proxy","image":"p:1","restartPolicy":"Always",
            "startupProbe":{"tcpSocket":{"port":15021}}},{"name":"init","image":"i","command":["true"]}],
            "containers":[{"name":"web","image":"reg:5000/web@sha256:ab","ports":[{"name":"http","containerPort":8080}],
            "livenessProbe":{"httpGet":{"path":"/live","port":"http"}},"readinessProbe":{"grpc":{"port":9000}},
            "lifecycle":{"preStop":{"sleep":{"seconds":1}}},
            "resources":{"limits":{"cpu":"500m","memory":"64Mi","example.com/gpu":"1"},"requests":{"cpu":"100m"}},
            "securityContext":{"runAsUser":1000,"readOnlyRootFilesystem":true,"allowPrivilegeEscalation":false,
            "capabilities":{"drop":["ALL"]},"seccompProfile":{"type":"RuntimeDefault"}},
            "env":[{"name":"A.b-c","value":"$(X)"},{"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
            {"name":"L","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
            {"name":"M","valueFrom":{"resourceFieldRef":{"resource":"limits.memory"}}}],
            "envFrom":[{"configMapRef":{"name":"c"}},{"prefix":"S_","secretRef":{"name":"s","optional":true}}],
            "volumeMounts":[{"name":"token","mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","readOnly":true},
            {"name":"e","mountPath":"/e","subPath":"a/b"},{"name":"d","mountPath":"/d"}]}],
            "volumes":[{"name":"e","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}},
            {"name":"h","hostPath":{"path":"/var/log","type":"DirectoryOrCreate"}},
            {"name":"c","configMap":{"name":"c","items":[{"key":"a","path":"x/a","mode":256}]}},
            {"name":"s","secret":{"secretName":"s","optional":true}},
            {"name":"d","downwardAPI":{"items":[{"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}},
            {"path":"cpu","resourceFieldRef":{"containerName":"web","resource":"limits.cpu","divisor":"1m"}}]}},
            {"name":"token","projected":{"sources":[{"serviceAccountToken":{"path":"token","expirationSeconds":3607}},
            {"configMap":{"name":"kube-root-ca.crt","items":[{"key":"ca.crt","path":"ca.crt"}]}},
            {"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"fieldPath":"metadata.namespace"}}]}}]}}],
            "affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":100,
            "podAffinityTerm":{"topologyKey":"kubernetes.io/hostname","labelSelector":{"matchLabels":{"a":"b"}}}}]},
            "nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[
            {"key":"kubernetes.io/arch","operator":"In","values":["arm64"]}]}]}}},
            "topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}],
            "dnsConfig":{"nameservers":["10.0.0.1"],"searches":["svc.cluster.local"],"options":[{"name":"ndots"}]},
            "hostAliases":[{"ip":"10.0.0.2","hostnames":["a.b"]}],"imagePullSecrets":[{"name":"r"}]}}
            """#
        ),
        (
            GroupVersionKind("apps", "v1", "StatefulSet"),
            #"""
            {"metadata":{"name":"db","namespace":"default"},"spec":{"serviceName":"db","replicas":2,
            "selector":{"matchLabels":{"app":"db"}},"template":{"metadata":{"labels":{"app":"db"}},"spec":{"containers":[
            {"name":"db","image":"db:1","volumeMounts":[{"name":"data","mountPath":"/data"}]}],"volumes":[
            {"name":"data","emptyDir":{}}]}},
            "volumeClaimTemplates":[{"metadata":{"name":"extra"},"spec":{"accessModes":["ReadWriteOnce"],
            "resources":{"requests":{"storage":"1Gi"}}}}]}}
            """#
        ),
        (
            GroupVersionKind("apps", "v1", "DaemonSet"),
            #"""
            {"metadata":{"name":"agent","namespace":"default"},"spec":{"selector":{"matchLabels":{"app":"agent"}},
            "template":{"metadata":{"labels":{"app":"agent"}},"spec":{"hostNetwork":true,"hostPID":true,
            "tolerations":[{"operator":"Exists"}],"containers":[{"name":"a","image":"a:1",
            "ports":[{"containerPort":9100,"hostPort":9100}],"securityContext":{"privileged":true}}]}}}}
            """#
        ),
        (
            GroupVersionKind("coordination.k8s.io", "v1", "Lease"),
            #"""
            {"metadata":{"name":"n1","namespace":"kube-node-lease"},"spec":{"holderIdentity":"n1",
            "leaseDurationSeconds":40,"renewTime":"2026-01-01T00:00:00.000000Z"}}
            """#
        ),
        (
            GroupVersionKind("", "v1", "Event"),
            #"""
            {"metadata":{"name":"web.17a","namespace":"default"},"involvedObject":{"kind":"Pod","name":"web"},
            "reason":"Pulled","message":"m","type":"Normal","source":{"component":"kubelet"},
            "firstTimestamp":"2026-01-01T00:00:00Z","lastTimestamp":"2026-01-01T00:00:00Z","count":1}
            """#
        ),
        (
            GroupVersionKind("rbac.authorization.k8s.io", "v1", "ClusterRoleBinding"),
            #"""
            {"metadata":{"name":"system:node"},"subjects":[{"kind":"Group","name":"system:nodes"}],
            "roleRef":{"kind":"ClusterRole","name":"system:node"}}
            """#
        ),
        (
            GroupVersionKind("", "v1", "Node"),
            #"""
            {"metadata":{"name":"n1","labels":{"kubernetes.io/hostname":"n1","node-role.kubernetes.io/control-plane":""}},
            "spec":{"podCIDR":"10.1.0.0/24","podCIDRs":["10.1.0.0/24"],"taints":[{"key":"a","effect":"NoSchedule"}]},
            "status":{"capacity":{"cpu":"4","memory":"8Gi","pods":"110"}}}
            """#
        ),
        (
            GroupVersionKind("policy", "v1", "PodDisruptionBudget"),
            #"""
            {"metadata":{"name":"a","namespace":"default"},"spec":{"minAvailable":"50%",
            "selector":{"matchLabels":{"a":"b"}}}}
            """#
        ),
    ]

    @Test(arguments: manifests.indices) func isTaken(index: Int) throws {
        let (kind, text) = Self.manifests[index]
        var object = try ObjectRules.check(JSON.parse(text), kind: kind, strictness: .strict).json
        ObjectRules.applyDefaults(&object, kind: kind)
        #expect(ObjectRules.validateCreate(object, kind: kind) == [], "\(kind)")
        object["metadata", "resourceVersion"] = "7"
        // What was stored and read back is the same object, and replacing it by itself is no change.
        let again = try ObjectRules.check(object, kind: kind, strictness: .strict).json
        #expect(again == object, "\(kind)")
        #expect(ObjectRules.validateUpdate(new: again, old: object, kind: kind) == [], "\(kind)")
    }
}
