// SPDX-License-Identifier: Apache-2.0

import APIServer
import ClusterFormation
import JSON
import KubeAPI
import Testing

@Suite struct ServerListTests {
    private func slice(_ text: String) -> KubeObject {
        var slice = KubeObject(
            .init("discovery.k8s.io", "v1", "EndpointSlice"), namespace: "default", name: "kubernetes")
        slice.json["metadata", "annotations"] = [
            APIServerConfiguration.Advertisement.serversAnnotation: .string(text)
        ]
        return slice
    }

    @Test func whatIsPublishedIsRead() {
        let text = "https://192.168.1.20:16443 https://[fd00::1]:16443 https://Pi.local:16443"
        #expect(ServerList.published(in: slice(text)) == text.split(separator: " ").map(String.init))
        let none = KubeObject(
            .init("discovery.k8s.io", "v1", "EndpointSlice"), namespace: "default", name: "kubernetes")
        #expect(ServerList.published(in: none).isEmpty)
    }

    @Test(arguments: [
        "http://192.168.1.20:16443", "https://192.168.1.20", "https://192.168.1.20:0", "https://192.168.1.20:66666",
        "https://a/b:16443", "https://user@host:16443", "https://[::1:16443", "https://[pi]:16443", "https://:16443",
        "https://" + String(repeating: "a", count: 300) + ":16443",
    ])
    func whatIsNoServerIsLeftOut(text: String) {
        #expect(ServerList.published(in: slice("\(text) https://good:1")) == ["https://good:1"])
    }

    @Test func formerServersStayBehindThePresentOnes() {
        #expect(ServerList.merge(["b", "c"], former: ["a", "b"]) == ["b", "c", "a"])
        #expect(ServerList.merge((1...9).map { "\($0)" }, former: (5...20).map { "\($0)" }) == (1...12).map { "\($0)" })
    }
}

@Suite struct LocalHostNameTests {
    @Test(
        arguments: [
            ("pi", "pi.local"), ("Pi-4.example.com", "pi-4.local"), ("localhost", nil), ("", nil), ("-a", nil),
            ("a_b", nil),
            (String(repeating: "a", count: 64), nil),
        ] as [(String, String?)])
    func hostNamesBecomeLocal(hostName: String, expected: String?) {
        #expect(LocalHostName.name(of: hostName) == expected)
    }
}
