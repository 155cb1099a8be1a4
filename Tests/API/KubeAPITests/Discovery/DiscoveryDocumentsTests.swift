// SPDX-License-Identifier: Apache-2.0

import JSON
import Testing

@testable import KubeAPI

struct DiscoveryDocumentsTests {
    private let documents = DiscoveryDocuments(.builtIn)

    private func entry(_ version: GroupVersion, _ name: String) throws -> JSON {
        let list = try #require(documents.resources(version))
        return try #require(list["resources"]?.elements.first { $0["name"]?.string == name })
    }

    /// Lines of a v1.36 server's own answers.
    @Test(arguments: [
        (
            GroupVersion("", "v1"), "pods",
            #"""
            {"name":"pods","singularName":"pod","namespaced":true,"kind":"Pod","verbs":["create","delete",\#
            "deletecollection","get","list","patch","update","watch"],"shortNames":["po"],"categories":["all"],\#
            "storageVersionHash":"xPOwRZ+Yhw8="}
            """#
        ),
        (
            GroupVersion("", "v1"), "pods/eviction",
            #"""
            {"name":"pods/eviction","singularName":"","namespaced":true,"group":"policy","version":"v1",\#
            "kind":"Eviction","verbs":["create"]}
            """#
        ),
        (
            GroupVersion("apps", "v1"), "deployments",
            #"""
            {"name":"deployments","singularName":"deployment","namespaced":true,"kind":"Deployment","verbs":["create",\#
            "delete","deletecollection","get","list","patch","update","watch"],"shortNames":["deploy"],\#
            "categories":["all"],"storageVersionHash":"8aSe+NMegvE="}
            """#
        ),
        (
            GroupVersion("apps", "v1"), "deployments/scale",
            #"""
            {"name":"deployments/scale","singularName":"","namespaced":true,"group":"autoscaling","version":"v1",\#
            "kind":"Scale","verbs":["get","patch","update"]}
            """#
        ),
        (
            GroupVersion("autoscaling", "v1"), "horizontalpodautoscalers",
            #"""
            {"name":"horizontalpodautoscalers","singularName":"horizontalpodautoscaler","namespaced":true,\#
            "kind":"HorizontalPodAutoscaler","verbs":["create","delete","deletecollection","get","list","patch",\#
            "update","watch"],"shortNames":["hpa"],"categories":["all"],"storageVersionHash":"qwQve8ut294="}
            """#
        ),
        (
            GroupVersion("", "v1"), "componentstatuses",
            #"""
            {"name":"componentstatuses","singularName":"componentstatus","namespaced":false,\#
            "kind":"ComponentStatus","verbs":["get","list"],"shortNames":["cs"]}
            """#
        ),
    ])
    func resourceEntries(version: GroupVersion, name: String, expected: String) throws {
        #expect(try entry(version, name).text() == expected)
    }

    @Test func groupDocuments() throws {
        #expect(
            documents.versions(serverAddress: "10.0.0.1:16443").text()
                == #"{"kind":"APIVersions","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","#
                + #""serverAddress":"10.0.0.1:16443"}]}"#)
        #expect(
            documents.group("apps")?.text()
                == #"{"kind":"APIGroup","apiVersion":"v1","name":"apps","versions":[{"groupVersion":"apps/v1","#
                + #""version":"v1"}],"preferredVersion":{"groupVersion":"apps/v1","version":"v1"}}"#)
        #expect(documents.group("") == nil)
        #expect(documents.group("nonsense") == nil)
        #expect(documents.groups["groups"]?.elements.count == ResourceTable.builtIn.groups.count - 1)
        #expect(documents.resources(.init("apps", "v2")) == nil)
        #expect(documents.resources(.init("", "v1"))?["apiVersion"] == nil)
        #expect(documents.resources(.init("apps", "v1"))?["apiVersion"] == "v1")
    }

    @Test func aggregatedDocumentsAreStable() throws {
        let document = documents.aggregated(core: false, version: "v2")
        #expect(document["kind"] == "APIGroupDiscoveryList")
        #expect(document["apiVersion"] == "apidiscovery.k8s.io/v2")
        let apps = try #require(document["items"]?.elements.first { $0["metadata"]?["name"] == "apps" })
        let deployments = try #require(
            apps["versions"]?[0]?["resources"]?.elements.first { $0["resource"] == "deployments" })
        #expect(deployments["scope"] == "Namespaced")
        #expect(deployments["responseKind"] == ["group": "apps", "version": "v1", "kind": "Deployment"])
        #expect(deployments["subresources"]?[0]?["subresource"] == "scale")
        #expect(apps["versions"]?[0]?["freshness"] == "Current")
        let again = DiscoveryDocuments(.builtIn).aggregated(core: false, version: "v2")
        #expect(again.serialized() == document.serialized())
        #expect(documents.aggregated(core: true, version: "v2beta1")["items"]?.elements.count == 1)
    }

    /// FIPS 180-4 and NIST's example values.
    @Test(arguments: [
        ("", "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        ("abc", "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248D6A61D20638B8E5C026930C3E6039A33CE45964FF2167F6ECEDD419DB06C1"
        ),
    ])
    func contentHash(text: String, hash: String) {
        #expect(ContentHash.tag(of: Array(text.utf8)) == hash)
    }
}
