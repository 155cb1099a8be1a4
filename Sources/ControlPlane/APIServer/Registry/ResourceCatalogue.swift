// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import Storage

/// All resources that the registry serves.
final class ResourceCatalogue: Sendable {
    let table: ResourceTable
    private let served: [GroupVersionResource: ServedResource]

    init(settings: RegistrySettings, authorizer: Authorizer, table: ResourceTable = .builtIn) {
        self.table = table
        var served: [GroupVersionResource: ServedResource] = [:]
        let behaviours = BehaviourTable(settings: settings, authorizer: authorizer)
        for info in table.resources where info.isStored {
            served[info.resource] = ServedResource(info: info, behaviour: behaviours.behaviour(of: info.storage))
        }
        self.served = served
    }

    subscript(resource: GroupVersionResource) -> ServedResource? { served[resource] }

    /// Every resource whose objects are stored in their own right, in no particular order.
    var all: some Collection<ServedResource> { served.values }
}
