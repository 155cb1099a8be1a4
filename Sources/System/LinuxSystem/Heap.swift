// SPDX-License-Identifier: Apache-2.0

import CLinux

/// The C library's heap, from which Swift allocates too.
package enum Heap {
    /// Lets all threads share a few arenas instead of eight for each processor (mallopt(3), `M_ARENA_MAX`).
    ///
    /// Memory that one arena has free is of no use to the threads of another. To be called before there are threads.
    package static func limitArenas(to count: CInt) { clinux_heap_limit_arenas(count) }

    /// Gives pages that hold nothing back to the system (malloc_trim(3)), which free(3) does only at the heap's end.
    package static func trim() { clinux_heap_trim() }
}
