// SPDX-License-Identifier: Apache-2.0

import KubeAPI
import KubeClient
import Testing

@testable import APIServer

/// Options of lists and watches that go together, and what revisions in them mean.
@Suite struct ListRulesTests {
    private static let prefix = "ListOptions.meta.k8s.io \"\" is invalid: "

    @Test(arguments: [
        ("sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan", nil),
        ("sendInitialEvents=false&resourceVersionMatch=NotOlderThan", nil), ("resourceVersion=5", nil),
        (
            "sendInitialEvents=true",
            "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        ),
        (
            "resourceVersionMatch=NotOlderThan",
            """
            resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is \
            provided
            """
        ),
        (
            "sendInitialEvents=&resourceVersionMatch=Exact",
            """
            [resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to \
            NotOlderThan, resourceVersionMatch: Unsupported value: "Exact": supported values: "NotOlderThan"]
            """
        ),
        (
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&continue=x",
            "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided"
        ),
    ])
    func watchOptionsGoTogether(_ query: String, _ problem: String?) async {
        let error = await status { _ = try QueryParameters("watch=true&\(query)").watchOptions() }
        #expect(error?.message == problem.map { Self.prefix + $0 })
        #expect(error?.code == (problem == nil ? nil : 422))
    }

    @Test(arguments: [
        ("", "", "", nil), ("Exact", "5", "", nil), ("NotOlderThan", "0", "", nil),
        ("Exact", "", "", "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("Exact", "0", "", "Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""),
        ("NotOlderThan", "5", "x", "Forbidden: resourceVersionMatch is forbidden when continue is provided"),
        ("Newest", "5", "", "Unsupported value: \"Newest\": supported values: \"Exact\", \"NotOlderThan\", \"\""),
    ])
    func listOptionsGoTogether(_ match: String, _ version: String, _ token: String, _ problem: String?) async {
        var options = ListOptions()
        options.resourceVersionMatch = match
        options.resourceVersion = version
        options.continueToken = token
        let error = await status { [options] in try ListRules.check(options) }
        #expect(error?.message == problem.map { "\(Self.prefix)resourceVersionMatch: \($0)" })
    }

    @Test func listsHaveNoInitialEvents() async {
        let error = await status { _ = try QueryParameters("sendInitialEvents=false").listOptions() }
        #expect(
            error?.message == Self.prefix + "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")
    }

    @Test func aPageOfARevisionIsOfExactlyThatOne() async throws {
        let test = try await TestRegistry()
        let first = try await test.client.create(.configMaps, object: configMap("a"))
        _ = try await test.client.create(.configMaps, object: configMap("b"))
        var options = ListOptions()
        options.resourceVersion = first.resourceVersion
        var page = try await test.client.list(.configMaps, namespace: "default", options: options)
        #expect(page.items.map(\.name) == ["a", "b"])
        options.limit = 5
        page = try await test.client.list(.configMaps, namespace: "default", options: options)
        #expect(page.items.map(\.name) == ["a"])
        #expect(page.resourceVersion == first.resourceVersion)
        options.resourceVersionMatch = "NotOlderThan"
        page = try await test.client.list(.configMaps, namespace: "default", options: options)
        #expect(page.items.map(\.name) == ["a", "b"])
    }

    @Test func aWatchMayLeaveTheStateOut() async throws {
        let test = try await TestRegistry()
        _ = try await test.client.create(.configMaps, object: configMap("a"))
        for version in ["", "0"] {
            var options = WatchOptions(resourceVersion: version)
            options.sendInitialEvents = false
            var events = try await test.client.watch(.configMaps, namespace: nil, options: options)
                .makeAsyncIterator()
            let added = try await test.client.create(.configMaps, object: configMap("b\(version)"))
            #expect(try await events.next() == .added(added))
        }
    }
}
