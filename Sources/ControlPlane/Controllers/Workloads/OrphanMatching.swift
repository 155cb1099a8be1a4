// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import KubeAPI

extension WorkQueue where Key == ObjectKey {
    /// Adds the owners whose selector matches an object that belongs to nobody, so that they adopt it.
    func addSelectors(
        ofOrphansIn informer: Informer, owners: Informer, selector: @escaping @Sendable (KubeObject) -> LabelSelector?
    ) {
        informer.addHandler { event in
            let object = event.object
            guard object.controller == nil, !object.isBeingDeleted, !object.labels.isEmpty else { return }
            for owner in owners.list(namespace: object.namespace) {
                guard let selector = selector(owner), !selector.isEverything, selector.matches(object.labels) else {
                    continue
                }
                self.add(owner.key)
            }
        }
    }
}
