// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Work in another network namespace, done by a short-lived thread: no other thread changes its namespace.
package enum NetworkNamespace: Sendable {
    /// Runs `body` in the namespace that `path` pins (`/proc/PID/ns/net` or a bind mount of it).
    package static func run<Result>(at path: String, _ body: () throws -> Result) throws -> Result {
        try runInThread("setns", path, body) { function, context in clinux_in_network(path, function, context) }
    }

    /// Runs `body` in a new network namespace that ends with it; with `mounts`, in a private mount namespace too.
    package static func runInNew<Result>(mounts: Bool = false, _ body: () throws -> Result) throws -> Result {
        try runInThread("unshare", "network namespace", body) { function, context in
            clinux_in_new_network(mounts ? 1 : 0, function, context)
        }
    }

    private static func runInThread<Value>(
        _ call: String, _ subject: String, _ body: () throws -> Value,
        _ start: (@convention(c) (UnsafeMutableRawPointer?) -> Void, UnsafeMutableRawPointer) -> CInt
    ) throws -> Value {
        try withoutActuallyEscaping(body) { body in
            var outcome: Result<Value, any Error>?
            var work: () -> Void = { outcome = Swift.Result { try body() } }
            let error = withUnsafeMutablePointer(to: &work) { pointer in
                start({ $0?.assumingMemoryBound(to: (() -> Void).self).pointee() }, pointer)
            }
            work = {}
            guard error == 0, let outcome else { throw SystemError(call, subject, errno: error) }
            return try outcome.get()
        }
    }
}
