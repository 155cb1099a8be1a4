// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import PodRuntime

@Suite("What control groups use")
struct CgroupUsageTests {
    @Test("the machine's memory, which no group counts, comes from meminfo")
    func machineMemory() {
        var usage = CgroupUsage()
        usage.setMemory(
            meminfo: """
                MemTotal:        1000000 kB
                MemFree:          400000 kB
                Buffers:           10000 kB
                Cached:           200000 kB
                SwapCached:         1000 kB
                Inactive(file):   150000 kB
                AnonPages:        100000 kB
                HugePages_Total:       0

                """)
        #expect(usage.resident == 100_000 << 10)
        #expect(usage.memory == 311_000 << 10)
        #expect(usage.workingSet == 161_000 << 10)
    }

    @Test("the root of all groups has a memory use")
    func root() throws {
        #expect(try CgroupTree().usage("/").memory > 0)
    }
}
