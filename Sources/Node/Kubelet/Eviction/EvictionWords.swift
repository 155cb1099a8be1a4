// SPDX-License-Identifier: Apache-2.0

/// What upstream says of pods that the node ends because they use too much.
enum EvictionWords {
    static let reason = "Evicted"
    /// The reason of the pod's condition DisruptionTarget.
    static let disruption = "TerminationByKubelet"
    /// Seconds that such a pod gets to end.
    static let immediateGrace = 1
}
