// SPDX-License-Identifier: Apache-2.0

import APIServer
package import Logging
import Systemd

/// Where log entries go.
package enum StandardLogging {
    /// The journal under systemd, standard error elsewhere.
    package static func handler(_ label: String) -> any LogHandler {
        // Every line of a node's log is by that node; a line about another one says so itself.
        LogOutput.automatic.handler(label: label, unspoken: ["node"], metadataProvider: RequestID.metadataProvider)
    }
}

extension Logger {
    /// This logger for a part of the agent.
    func component(_ name: String) -> Logger {
        var copy = self
        copy[metadataKey: "component"] = .string(name)
        return copy
    }
}
