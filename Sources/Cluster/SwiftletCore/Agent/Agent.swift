// SPDX-License-Identifier: Apache-2.0

import Logging

/// The agent: everything that `swiftlet run` runs, composed from the configuration.
package struct Agent: Sendable {
    let configuration: Configuration

    package init(configuration: Configuration) throws { self.configuration = configuration }

    package func run() async throws {}
}
