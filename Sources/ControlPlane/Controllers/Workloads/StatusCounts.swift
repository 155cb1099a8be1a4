// SPDX-License-Identifier: Apache-2.0

import JSON

extension JSON {
    /// Sets a count of a status, which is left out when it is zero, as by upstream's `omitempty`.
    ///
    /// A null in its place would differ from what is stored, and every reconciliation would write.
    mutating func setCount(_ field: String, _ count: Int) {
        if count == 0 {
            self[field] = nil
        } else {
            self[field] = JSON(count)
        }
    }
}
