// SPDX-License-Identifier: Apache-2.0

package import KubeAPI

/// The resources that the agent's own parts work with.
extension GroupVersionResource {
    package static let configMaps = GroupVersionResource("", "v1", "configmaps")
    package static let endpoints = GroupVersionResource("", "v1", "endpoints")
    package static let events = GroupVersionResource("", "v1", "events")
    package static let namespaces = GroupVersionResource("", "v1", "namespaces")
    package static let nodes = GroupVersionResource("", "v1", "nodes")
    package static let persistentVolumeClaims = GroupVersionResource("", "v1", "persistentvolumeclaims")
    package static let persistentVolumes = GroupVersionResource("", "v1", "persistentvolumes")
    package static let pods = GroupVersionResource("", "v1", "pods")
    package static let secrets = GroupVersionResource("", "v1", "secrets")
    package static let serviceAccounts = GroupVersionResource("", "v1", "serviceaccounts")
    package static let services = GroupVersionResource("", "v1", "services")
    package static let deployments = GroupVersionResource("apps", "v1", "deployments")
    package static let replicaSets = GroupVersionResource("apps", "v1", "replicasets")
    package static let leases = GroupVersionResource("coordination.k8s.io", "v1", "leases")
    package static let endpointSlices = GroupVersionResource("discovery.k8s.io", "v1", "endpointslices")
    package static let podDisruptionBudgets = GroupVersionResource("policy", "v1", "poddisruptionbudgets")
    package static let priorityClasses = GroupVersionResource("scheduling.k8s.io", "v1", "priorityclasses")
}
