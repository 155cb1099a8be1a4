// SPDX-License-Identifier: Apache-2.0

/// What one run of a probe found.
struct ProbeResult: Sendable {
    var isSuccess: Bool
    /// What the `Unhealthy` event says about a failure.
    var output: String
    /// What the `ProbeWarning` event says about a success that may not be meant as one; otherwise empty.
    var warning = ""

    static func success(warning: String = "") -> ProbeResult { .init(isSuccess: true, output: "", warning: warning) }
    static func failure(_ output: String) -> ProbeResult { .init(isSuccess: false, output: output) }
}

/// Runs `body` for at most so many seconds; nil when the time is up first.
func withTimeout<Value: Sendable>(
    seconds: Int, _ body: @escaping @Sendable () async throws -> Value
) async throws -> Value? {
    try await withThrowingTaskGroup(of: Value?.self) { group in
        group.addTask { try await body() }
        group.addTask {
            try await Task.sleep(for: .seconds(seconds))
            return nil
        }
        defer { group.cancelAll() }
        return try await group.next() ?? nil
    }
}
