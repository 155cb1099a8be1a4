// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A directory that is removed with the test.
struct TemporaryDirectory: ~Copyable {
    let path = "/tmp/swiftlet-core-\(UUID().uuidString)"
    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true) }
    deinit {
        // Best effort: the directory lies under /tmp.
        try? FileManager.default.removeItem(atPath: path)
    }
}
