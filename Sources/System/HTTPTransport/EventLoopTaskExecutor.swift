// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Runs tasks on an event loop's thread, so that a request is answered without changing threads.
///
/// Invariant: code that prefers this executor must not block; it would hold up every connection of the loop.
final class EventLoopTaskExecutor: TaskExecutor {
    private let loop: any EventLoop

    init(_ loop: any EventLoop) { self.loop = loop }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
