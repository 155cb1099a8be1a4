// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import NIOPosix

/// Runs work that blocks on the disk on NIO's thread pool, so that it does not hold up the agent's few cooperative
/// threads. A failed system call becomes an ``ImageError`` about `operation`.
func blocking<Result: Sendable>(
    _ operation: String, _ body: @escaping @Sendable () throws -> Result
) async throws(ImageError) -> Result {
    do {
        return try await NIOThreadPool.singleton.runIfActive(body)
    } catch let error as ImageError {
        throw error
    } catch let error as SystemError {
        throw ImageError(error, operation)
    } catch {
        throw ImageError(.system, operation, "\(error)")
    }
}
