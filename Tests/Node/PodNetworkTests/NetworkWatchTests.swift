// SPDX-License-Identifier: Apache-2.0

import Glibc
import LinuxSystem
import Logging
import Netlink
import Testing

@testable import PodNetwork

@Suite struct NetworkWatchTests {
    /// The kernel's socket itself: readable after a change, and not before.
    @Test func changesOfAddressesAreHeard() throws {
        try NetworkNamespace.runInNew {
            let session = try RouteSession()
            var channel = NetlinkChannel(owning: try NetlinkChannel.subscribe(to: .addresses))
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

    /// Links that come and go, and rules that somebody sets.
    @Test(arguments: [
        (NetlinkChannel.Subject.links, "ip link add swtest0 type bridge"), (.rules, "nft add table inet swtest"),
    ])
    func changesOfLinksAndRulesAreHeard(subject: NetlinkChannel.Subject, command: String) throws {
        try NetworkNamespace.runInNew {
            var channel = NetlinkChannel(owning: try NetlinkChannel.subscribe(to: subject))
            #expect(system(command) == 0)
            let news = try channel.receive()
            #expect(!news.isEmpty)
        }
    }

    /// Once in the beginning, without any change.
    @Test(.timeLimit(.minutes(1))) func theStateIsLookedAtFirst() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingOldest(16))
        let watch = NetworkWatch(.addresses, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }) {
            continuation.yield(())
        }
        try await withThrowingTaskGroup { group in
            group.addTask { try await watch.run() }
            for await _ in stream { break }
            group.cancelAll()
        }
    }
}
