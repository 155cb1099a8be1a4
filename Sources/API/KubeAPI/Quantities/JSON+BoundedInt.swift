// SPDX-License-Identifier: Apache-2.0

package import JSON

extension JSON {
    /// The integer brought into the range of 32 bits, nil where this is none: for reckoning with what others wrote.
    ///
    /// Counts are that wide anyway. Fields of seconds are 64 bits wide in the API, and seconds near their end would run
    /// over when they are added to a time; 68 years are as good as for ever.
    package var boundedInt: Int? { int.map { min(max($0, Int(Int32.min)), Int(Int32.max)) } }
}
