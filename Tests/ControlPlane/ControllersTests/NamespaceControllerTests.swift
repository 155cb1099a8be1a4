// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Testing

@testable import Controllers

@Suite struct NamespaceControllerTests {
    @Test func whatRemainsIsNamedAsUpstreamNamesIt() {
        #expect(
            NamespaceController.count(1, of: .init("", "v1", "configmaps")) == "configmaps. has 1 resource instances")
        #expect(
            NamespaceController.count(2, of: .init("apps", "v1", "deployments"))
                == "deployments.apps has 2 resource instances")
    }
}
