// SPDX-License-Identifier: Apache-2.0

package import JSON
import KubeAPI

/// Reads resource quantities as the node counts them: CPU in thousandths, everything else in whole units.
package enum ResourceAmount {
    /// A quantity in thousandths, rounded up; nil if it is missing or malformed.
    package static func milli(_ json: JSON?) -> Int64? { Quantity(json).map { Int64($0.milliValue) } }

    /// A quantity in whole units (bytes, say), rounded up; nil if it is missing or malformed.
    package static func units(_ json: JSON?) -> Int64? { Quantity(json).map { Int64($0.value) } }
}
