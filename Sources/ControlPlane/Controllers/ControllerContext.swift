// SPDX-License-Identifier: Apache-2.0

package import ControllerRuntime
import JSON
package import KubeAPI
package import KubeClient
package import Logging

/// What every controller is made from.
package struct ControllerContext: Sendable {
    package let client: any ResourceClient
    /// Shared by all controllers; run once, by whoever composes them.
    package let informers: InformerSet
    package let logger: Logger
    /// The time, injected for tests.
    package let now: @Sendable () -> KubeTime

    package init(
        client: any ResourceClient, informers: InformerSet, logger: Logger, now: @escaping @Sendable () -> KubeTime
    ) {
        self.client = client
        self.informers = informers
        self.logger = logger
        self.now = now
    }

    /// A recorder for one controller's events; the controller runs it.
    func recorder(_ component: String) -> EventRecorder {
        EventRecorder(client: client, component: component, logger: logger, now: { [now] in now().text })
    }
}

/// A part of the control plane that runs until it is cancelled.
package protocol ControlLoop: Sendable {
    /// Upstream's name, `replicaset-controller`.
    var name: String { get }
    func run() async throws
}

extension LabelSelector {
    /// Reads an object's selector; nil for one that is malformed, which the API refuses when the object is written.
    init?(reading json: JSON) {
        guard let selector = try? LabelSelector(json: json) else { return nil }
        self = selector
    }
}
