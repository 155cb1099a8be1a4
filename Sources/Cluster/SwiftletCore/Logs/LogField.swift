// SPDX-License-Identifier: Apache-2.0

/// What the details of log entries are called, in one place: in the journal `pod` is the field `SWIFTLET_POD`.
///
/// `scripts/lib/check_tree.py` compares every use of a logger with this list, and the list with the user guide.
package struct LogField: Sendable, Hashable {
    package let key: String
    package let meaning: String

    private init(_ key: String, _ meaning: String) {
        self.key = key
        self.meaning = meaning
    }

    /// The field's name in the journal.
    package var journalName: String {
        "SWIFTLET_" + key.uppercased().split(separator: "-").joined(separator: "_")
    }

    /// Those by which one looks for entries.
    package static let main = [
        LogField("component", "the part of the agent: kubelet, scheduler, api-server, deployment-controller, ..."),
        LogField("node", "the node that an entry is about; the agent's own unless it says otherwise"),
        LogField("namespace", "the namespace of the pod or object"),
        LogField("pod", "the pod's name; always together with the namespace"),
        LogField("container", "the container's name in the pod"),
        LogField("container-id", "the container's ID, as kubectl describe shows it"),
        LogField("object", "the name of another object"),
        LogField("request-id", "the API request during which it happened; clients see it as the header Audit-Id"),
        LogField("error", "what went wrong"),
        LogField("reason", "why something was done or not done; of a pod's event its reason"),
    ]

    /// The others.
    package static let details = [
        LogField("addresses", "addresses of a node"),
        LogField("allowed", "the time that something is given"),
        LogField("api-port", "the port of the Kubernetes API"),
        LogField("authorities", "the beginnings of the SHA-256 of the authorities that the cluster trusts"),
        LogField("certificate", "the name of a certificate of this machine"),
        LogField("claimed-name", "the name that a board claims that was not let in"),
        LogField("count", "how many"),
        LogField("delay", "the time until the next attempt"),
        LogField("direct", "how many nodes are reached by plain routes"),
        LogField("exit-code", "a container's exit code"),
        LogField("finding", "what a check of the machine found"),
        LogField("image", "the name of an image, or its ID where it has none"),
        LogField("left-out", "how many entries of this kind were left out since the last one"),
        LogField("link", "a network link, or several of them"),
        LogField("path", "a file or directory, or the path of a request"),
        LogField("pod-network", "the part of the pod network that a node was given"),
        LogField("pod-uid", "the pod's UID"),
        LogField("registry", "the URL of a registry"),
        LogField("remedy", "what to do about a finding"),
        LogField("resource", "a resource of the API"),
        LogField("sandbox", "the ID of a sandbox, which is the pod's UID"),
        LogField("server", "the URL of an API server"),
        LogField("servers", "the URLs of API servers"),
        LogField("signer", "who signs a certificate"),
        LogField("subnet", "the part of the pod network of a node"),
        LogField("token", "the ID of a join token, never its secret"),
        LogField("user", "who made a request"),
        LogField("valid-until", "a certificate's end"),
        LogField("verb", "what a request does"),
        LogField("vxlan", "how many nodes are reached through VXLAN"),
    ]
}
