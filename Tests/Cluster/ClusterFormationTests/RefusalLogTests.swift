// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import ClusterFormation

@Suite struct RefusalLogTests {
    @Test func tellsOfAFewAndThenHowManyItLeftOut() {
        let log = RefusalLog()
        let start = ContinuousClock.now
        let limit = RefusalLog.limit
        #expect((0..<limit).map { _ in log.tell(at: start) } == Array(repeating: 0, count: limit))
        for _ in 0..<1000 { #expect(log.tell(at: start + .seconds(59)) == nil) }
        #expect(log.tell(at: start + RefusalLog.interval) == 1000)
        #expect(log.tell(at: start + RefusalLog.interval) == 0)
    }
}
