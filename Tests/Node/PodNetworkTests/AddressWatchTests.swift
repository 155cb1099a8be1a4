// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging
import Netlink
import Testing

@testable import PodNetwork

@Suite struct AddressWatchTests {
    /// The kernel's socket itself: readable after a change, and not before.
    @Test func changesOfAddressesAreHeard() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            var channel = NetlinkChannel(owning: try NetlinkChannel.subscribeToAddresses())
            do {
                _ = try channel.receive()
                Issue.record("a change without any")
            } catch let error as SystemError {
                // EAGAIN
                #expect(error.errno == 11)
            }
            try session.change(link: 1, LinkSettings(isUp: true))
            try session.setAddress(try #require(IPNetwork("192.0.2.7/32")), link: 1)
            let news = try channel.receive()
            #expect(!news.isEmpty)
        }
    }

    /// Once in the beginning, without any change.
    @Test(.timeLimit(.minutes(1))) func theStateIsLookedAtFirst() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(16))
        let watch = AddressWatch(logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
            continuation.yield(())
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await watch.run() }
            for await _ in stream { break }
            group.cancelAll()
        }
    }
}
