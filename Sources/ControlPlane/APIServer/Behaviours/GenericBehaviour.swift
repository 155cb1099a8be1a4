// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// The behaviour of resources that have nothing particular about them but their traits.
struct GenericBehaviour: ResourceBehaviour {
    let traits: ResourceTraits
}
