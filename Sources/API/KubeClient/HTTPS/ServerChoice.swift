// SPDX-License-Identifier: Apache-2.0

/// Which of several servers to ask, and when to look for another one; no I/O.
///
/// Requests go to the server that answered last. When it fails, all are asked at once; when none of them answers, that
/// is not done again for a while, and only the last one is tried meanwhile: it costs least when it comes back.
struct ServerChoice: Sendable {
    /// By how much a server is asked before the next one.
    static let headStart = Duration.milliseconds(150)
    /// Between searches without result, doubled by each up to the longest.
    static let shortestPause = Duration.milliseconds(500)
    static let longestPause = Duration.seconds(15)

    /// The server that answered last.
    private(set) var preferred: String
    private var servers: [String]
    /// Whether there may be servers that are not among ``servers``.
    private let canDiscover: Bool
    private var isDoubtful: Bool
    private var failures = 0
    private var pauseEnds: ContinuousClock.Instant?

    init(_ servers: [String], canDiscover: Bool) {
        precondition(!servers.isEmpty, "a client needs a server")
        self.servers = Self.normal(servers)
        self.canDiscover = canDiscover
        preferred = self.servers[0]
        // The first need not be the best.
        isDoubtful = self.servers.count > 1
    }

    private static func normal(_ servers: [String]) -> [String] {
        var seen: Set<String> = []
        return servers.map { server in
            var server = server
            while server.hasSuffix("/") { server.removeLast() }
            return server
        }.filter { seen.insert($0).inserted }
    }

    /// The servers in the order in which they are tried.
    var candidates: [String] { [preferred] + servers.filter { $0 != preferred } }

    /// Whether a request should look for a server before it is sent.
    func needsSearch(at now: ContinuousClock.Instant) -> Bool {
        guard isDoubtful, canDiscover || candidates.count > 1 else { return false }
        return pauseEnds.map { $0 <= now } ?? true
    }

    mutating func answered(by server: String) {
        preferred = server
        isDoubtful = false
        failures = 0
        pauseEnds = nil
    }

    mutating func failed(_ server: String) {
        // An old request's failure says nothing of the server that was found since.
        if server == preferred { isDoubtful = true }
    }

    /// The way to the servers has changed.
    mutating func doubt() {
        isDoubtful = true
        pauseEnds = nil
    }

    mutating func searchFailed(at now: ContinuousClock.Instant) {
        pauseEnds = now + min(Self.longestPause, Self.shortestPause * (1 << min(failures, 10)))
        failures += 1
    }

    /// Takes other servers; the preferred one stays so as long as it answers.
    mutating func replace(_ servers: [String]) {
        guard !servers.isEmpty else { return }
        self.servers = Self.normal(servers)
    }
}
