// SPDX-License-Identifier: Apache-2.0

import PodRuntime

/// A remote session as the client of a process.
struct RemoteProcessClient: ProcessClient {
    let session: any RemoteSession

    func receive() async throws -> ProcessInput? {
        switch try await session.receive() {
        case .stdin(let bytes): .stdin(bytes)
        case .stdinClosed: .stdinClosed
        case .resize(let width, let height): .resize(width: width, height: height)
        case nil: nil
        }
    }

    func send(_ bytes: [UInt8], isError: Bool) async throws { try await session.send(bytes, isError: isError) }
}
