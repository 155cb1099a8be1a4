// SPDX-License-Identifier: Apache-2.0

/// Objects as kubectl 1.32 sends them: the body of its `create`, and what it prints for the same arguments with
/// `--dry-run=client -o json`. Go's own encoders wrote both.
struct KubectlBody: Sendable, CustomStringConvertible {
    let description: String
    let hex: String
    let json: String

    var bytes: [UInt8] { [UInt8](hex: hex) }

    static let all = [
        KubectlBody(
            description: "configMap",
            hex: #"""
                6b3873000a0f0a0276311209436f6e6669674d6170121b0a110a016112001a0022002a0032003800420012060a01\#
                6b1201761a002200
                """#,
            json: #"""
                {"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a","creationTimestamp":null},"data\#
                ":{"k":"v"}}
                """#),
        KubectlBody(
            description: "secret",
            hex: #"""
                6b3873000a0c0a0276311206536563726574121d0a110a017312001a0022002a0032003800420012060a016b1201\#
                761a001a002200
                """#,
            json: #"""
                {"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","creationTimestamp":null},"data":{\#
                "k":"dg=="}}
                """#),
        KubectlBody(
            description: "deployment",
            hex: #"""
                6b3873000a150a07617070732f7631120a4465706c6f796d656e7412b0010a1b0a016412001a0022002a00320038\#
                0042005a080a036170701201641282010803120a0a080a036170701201641a6a0a1a0a0012001a0022002a003200\#
                380042005a080a03617070120164124c122e0a056e67696e7812056e67696e782a00320a0a001000185022002a00\#
                42006a007200800100880100900100a201001a00320042004a0052005800600068008201008a01009a0100c20100\#
                22020a00280038001a0c0800100018002000280038001a002200
                """#,
            json: #"""
                {"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"d","creationTimestamp":null,\#
                "labels":{"app":"d"}},"spec":{"replicas":3,"selector":{"matchLabels":{"app":"d"}},"template"\#
                :{"metadata":{"creationTimestamp":null,"labels":{"app":"d"}},"spec":{"containers":[{"name":"\#
                nginx","image":"nginx","ports":[{"containerPort":80}],"resources":{}}]}},"strategy":{}},"sta\#
                tus":{}}
                """#),
        KubectlBody(
            description: "service",
            hex: #"""
                6b3873000a0d0a02763112075365727669636512640a1b0a016312001a0022002a003200380042005a080a036170\#
                7012016312410a1c0a0638302d776562120354435018502209080110001a03776562280012080a03617070120163\#
                1a002209436c757374657249503a00420052005a00600068001a020a001a002200
                """#,
            json: #"""
                {"kind":"Service","apiVersion":"v1","metadata":{"name":"c","creationTimestamp":null,"labels"\#
                :{"app":"c"}},"spec":{"ports":[{"name":"80-web","protocol":"TCP","port":80,"targetPort":"web\#
                "}],"selector":{"app":"c"},"type":"ClusterIP"},"status":{"loadBalancer":{}}}
                """#),
        KubectlBody(
            description: "clusterRoleBinding",
            hex: #"""
                6b3873000a320a1c726261632e617574686f72697a6174696f6e2e6b38732e696f2f76311212436c757374657252\#
                6f6c6542696e64696e67126b0a110a016212001a0022002a0032003800420012260a04557365721219726261632e\#
                617574686f72697a6174696f6e2e6b38732e696f1a017522001a2e0a19726261632e617574686f72697a6174696f\#
                6e2e6b38732e696f120b436c7573746572526f6c651a04766965771a002200
                """#,
            json: #"""
                {"kind":"ClusterRoleBinding","apiVersion":"rbac.authorization.k8s.io/v1","metadata":{"name":\#
                "b","creationTimestamp":null},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.\#
                io","name":"u"}],"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","nam\#
                e":"view"}}
                """#),
        KubectlBody(
            description: "job",
            hex: #"""
                6b3873000a0f0a0862617463682f763112034a6f62127e0a110a016a12001a0022002a00320038004200125f325d\#
                0a100a0012001a0022002a00320038004200124912260a016a120762757379626f781a04646174652a0042006a00\#
                7200800100880100900100a201001a054e65766572320042004a0052005800600068008201008a01009a0100c201\#
                001a082000280030003a001a002200
                """#,
            json: #"""
                {"kind":"Job","apiVersion":"batch/v1","metadata":{"name":"j","creationTimestamp":null},"spec\#
                ":{"template":{"metadata":{"creationTimestamp":null},"spec":{"containers":[{"name":"j","imag\#
                e":"busybox","command":["date"],"resources":{}}],"restartPolicy":"Never"}}},"status":{}}
                """#),
        KubectlBody(
            description: "cronJob",
            hex: #"""
                6b3873000a130a0862617463682f7631120743726f6e4a6f62129f010a110a016312001a0022002a003200380042\#
                001287010a092a202a202a202a202a1a002a780a110a016312001a0022002a00320038004200126332610a100a00\#
                12001a0022002a00320038004200124d12260a0163120762757379626f781a04646174652a0042006a0072008001\#
                00880100900100a201001a094f6e4661696c757265320042004a0052005800600068008201008a01009a0100c201\#
                001a001a002200
                """#,
            json: #"""
                {"kind":"CronJob","apiVersion":"batch/v1","metadata":{"name":"c","creationTimestamp":null},"\#
                spec":{"schedule":"* * * * *","jobTemplate":{"metadata":{"name":"c","creationTimestamp":null\#
                },"spec":{"template":{"metadata":{"creationTimestamp":null},"spec":{"containers":[{"name":"c\#
                ","image":"busybox","command":["date"],"resources":{}}],"restartPolicy":"OnFailure"}}}}},"st\#
                atus":{}}
                """#),
        KubectlBody(
            description: "resourceQuota",
            hex: #"""
                6b3873000a130a027631120d5265736f7572636551756f746112330a110a017112001a0022002a00320038004200\#
                121c0a0a0a0363707512030a01310a0e0a066d656d6f727912040a0231471a001a002200
                """#,
            json: #"""
                {"kind":"ResourceQuota","apiVersion":"v1","metadata":{"name":"q","creationTimestamp":null},"\#
                spec":{"hard":{"cpu":"1","memory":"1G"}},"status":{}}
                """#),
        KubectlBody(
            description: "ingress",
            hex: #"""
                6b3873000a1f0a146e6574776f726b696e672e6b38732e696f2f76311207496e6772657373123c0a110a01691200\#
                1a0022002a0032003800420012231a210a0161121c0a1a0a180a022f62120b22090a016312040a0010501a054578\#
                6163741a020a001a002200
                """#,
            json: #"""
                {"kind":"Ingress","apiVersion":"networking.k8s.io/v1","metadata":{"name":"i","creationTimest\#
                amp":null},"spec":{"rules":[{"host":"a","http":{"paths":[{"path":"/b","pathType":"Exact","ba\#
                ckend":{"service":{"name":"c","port":{"number":80}}}}]}}]},"status":{"loadBalancer":{}}}
                """#),
        KubectlBody(
            description: "disruptionBudget",
            hex: #"""
                6b3873000a200a09706f6c6963792f76311213506f6444697372757074696f6e42756467657412360a110a017012\#
                001a0022002a0032003800420012150a09080110001a0335302512080a060a01611201621a0a0800180020002800\#
                30001a002200
                """#,
            json: #"""
                {"kind":"PodDisruptionBudget","apiVersion":"policy/v1","metadata":{"name":"p","creationTimes\#
                tamp":null},"spec":{"minAvailable":"50%","selector":{"matchLabels":{"a":"b"}}},"status":{"di\#
                sruptionsAllowed":0,"currentHealthy":0,"desiredHealthy":0,"expectedPods":0}}
                """#),
        KubectlBody(
            description: "priorityClass",
            hex: #"""
                6b3873000a250a147363686564756c696e672e6b38732e696f2f7631120d5072696f72697479436c61737312390a\#
                120a02706312001a0022002a0032003800420010fbffffffffffffffff01180022002a14507265656d70744c6f77\#
                65725072696f726974791a002200
                """#,
            json: #"""
                {"kind":"PriorityClass","apiVersion":"scheduling.k8s.io/v1","metadata":{"name":"pc","creatio\#
                nTimestamp":null},"value":-5,"preemptionPolicy":"PreemptLowerPriority"}
                """#),
    ]
}

extension [UInt8] {
    /// Bytes from pairs of hexadecimal digits; spaces are for the eye.
    init(hex: String) {
        let digits = hex.compactMap(\.hexDigitValue)
        self = stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }
}
