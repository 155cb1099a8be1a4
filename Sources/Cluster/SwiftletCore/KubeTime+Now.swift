// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import LinuxSystem

extension KubeTime {
    /// The machine's time, in whole seconds.
    static func now() -> KubeTime { KubeTime(seconds: Int(FileTime.now().seconds)) }
}
