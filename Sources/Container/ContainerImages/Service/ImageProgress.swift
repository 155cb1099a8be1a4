// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// How far a pull or import has got.
package struct ImageProgress: Hashable, Sendable {
    /// Layers that are in place, and all.
    package var layersDone = 0
    package var layersTotal = 0
    /// Bytes received of those that are needed; what was there already counts in neither.
    package var bytesDone: UInt64 = 0
    package var bytesTotal: UInt64 = 0
}

/// Counts progress from several tasks and tells the observer, at most once per MiB.
final class ProgressMeter: Sendable {
    private let observer: (@Sendable (ImageProgress) -> Void)?
    private let state = Mutex<(progress: ImageProgress, told: UInt64)>((ImageProgress(), 0))

    init(_ observer: (@Sendable (ImageProgress) -> Void)?) { self.observer = observer }

    func start(layersDone: Int, layersTotal: Int, bytesTotal: UInt64) {
        tell { $0 = ImageProgress(layersDone: layersDone, layersTotal: layersTotal, bytesTotal: bytesTotal) }
    }

    func layerDone() { tell { $0.layersDone += 1 } }

    func received(_ bytes: Int) {
        let isDue = state.withLock { state in
            state.progress.bytesDone += UInt64(bytes)
            return state.progress.bytesDone - state.told >= 1 << 20
        }
        if isDue { tell { _ in } }
    }

    private func tell(_ change: (inout ImageProgress) -> Void) {
        let progress = state.withLock { state in
            change(&state.progress)
            state.told = state.progress.bytesDone
            return state.progress
        }
        observer?(progress)
    }
}
