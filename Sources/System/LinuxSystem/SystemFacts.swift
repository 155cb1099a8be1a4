// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// What only the kernel and the C library can say about the machine.
package enum SystemFacts: Sendable {
    /// Bytes of a page of memory: 4096, or 16384 on a Raspberry Pi 5.
    package static var pageBytes: Int { sysconf(Int32(_SC_PAGESIZE)) }

    /// Whether a time service keeps the clock right (adjtimex(2), `STA_UNSYNC`); nil where the kernel does not say.
    package static var isClockSynchronised: Bool? {
        switch clinux_is_clock_synchronised() {
        case 0: false
        case 1: true
        default: nil
        }
    }

    /// Milliseconds of a clock that nobody sets (clock_gettime(2), `CLOCK_MONOTONIC`).
    package static var uptimeMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// Whether the kernel has IPv6: not where it was built without, or started with ipv6.disable=1.
    package static var hasIPv6: Bool { Files.exists("/proc/sys/net/ipv6/conf/all") }

    /// Units of processor time in a second, as /proc counts it.
    package static var ticksPerSecond: Int { sysconf(Int32(_SC_CLK_TCK)) }
}
