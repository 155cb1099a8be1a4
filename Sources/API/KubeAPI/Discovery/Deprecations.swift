// SPDX-License-Identifier: Apache-2.0

/// Resources that upstream v1.36 serves but advises against.
package enum Deprecations {
    /// What clients are warned of when they use a resource; nil for nothing.
    package static func warning(for resource: GroupVersionResource) -> String? {
        guard resource.group.isEmpty else { return nil }
        return switch resource.resource {
        case "componentstatuses": "v1 ComponentStatus is deprecated in v1.19+"
        case "endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
        default: nil
        }
    }
}
