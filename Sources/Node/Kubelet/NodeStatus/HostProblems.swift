// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// What is wrong with the machine now; it changes while the kubelet runs.
final class HostProblems: Sendable {
    private let state: Mutex<[KubeletConfiguration.HostProblem]>

    init(_ problems: [KubeletConfiguration.HostProblem]) { state = Mutex(problems) }

    var current: [KubeletConfiguration.HostProblem] { state.withLock { $0 } }

    /// Takes over others, and gives those from before.
    func replace(with problems: [KubeletConfiguration.HostProblem]) -> [KubeletConfiguration.HostProblem] {
        state.withLock { current in
            defer { current = problems }
            return current
        }
    }
}
