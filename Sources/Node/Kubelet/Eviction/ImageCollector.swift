// SPDX-License-Identifier: Apache-2.0

import ContainerImages
import ControllerRuntime
import KubeAPI
import LinuxSystem
import Logging
import PodRuntime
import Synchronization

/// Removes images that nobody uses when their file system fills up.
final class ImageCollector: Sendable {
    /// Upstream's ImageGCPeriod.
    private static let interval = Duration.seconds(300)

    private let context: KubeletContext
    private let director: PodDirector
    /// What events about the node are about.
    private let node: @Sendable () -> KubeObject
    private let retention = Mutex(ImageRetention())

    init(context: KubeletContext, director: PodDirector, node: @escaping @Sendable () -> KubeObject) {
        self.context = context
        self.director = director
        self.node = node
    }

    /// Runs until the task is cancelled.
    func run() async throws {
        var hasFailed = false
        while true {
            let failure = await collect()
            // One failure may be over the next time.
            if let failure, hasFailed {
                context.recorder.record(node(), .warning, reason: "ImageGCFailed", message: failure)
            }
            hasFailed = failure != nil
            try await Task.sleep(for: Self.interval)
        }
    }

    /// Makes room if there is too little; gives what went wrong.
    private func collect() async -> String? {
        do {
            let entries = try await look()
            let space = try await context.images.space()
            guard let excess = ImageRetention.excess(of: space) else { return nil }
            let freed = await remove(entries, bytes: excess)
            if freed >= excess { return nil }
            let message =
                "Insufficient free disk space on the node's image filesystem "
                + "(\(ImageRetention.usedPercent(of: space))% of \(Self.text(space.totalBytes)) used). "
                + "Failed to free sufficient space by deleting unused images (freed \(freed) bytes). "
                + "Investigate disk usage, as it could be used by active images, logs, volumes, or other data."
            context.recorder.record(node(), .warning, reason: "FreeDiskSpaceFailed", message: message)
            return message
        } catch {
            context.logger.warning("Unused images could not be removed", metadata: ["error": "\(error)"])
            return "\(error)"
        }
    }

    /// Removes every image that nobody uses and that is not new.
    func removeUnused() async {
        do {
            _ = await remove(try await look(), bytes: .max)
        } catch {
            context.logger.warning("Unused images could not be removed", metadata: ["error": "\(error)"])
        }
    }

    /// The images that are there, noting which are in use.
    private func look() async throws -> [ImageRetention.Entry] {
        let images = try await context.images.list()
        let running = Set(context.runtime.allRecords().lazy.filter { $0.exit == nil }.map(\.imageID))
        // Also what a pod is going to start, or to start again: a board that is cut off could not pull it anew.
        let wanted = Set(director.workers.filter { !$0.isOver }.flatMap { $0.pod.allContainers.map(\.image) })
        let entries = images.map { image in
            // What an image was called when a container was made of it may be one of several names now.
            let isRunning = running.contains(image.id.description) || image.digests.contains(where: running.contains)
            let isUsed = isRunning || wanted.contains(where: image.isMeant(by:))
            return ImageRetention.Entry(id: image.id.description, size: image.size, isUsed: isUsed)
        }
        let now = context.clock.now().uptimeMilliseconds
        retention.withLock { $0.note(entries, now: now) }
        return entries
    }

    /// - Returns: the bytes that have become free.
    private func remove(_ entries: [ImageRetention.Entry], bytes: UInt64) async -> UInt64 {
        let now = context.clock.now().uptimeMilliseconds
        var freed: UInt64 = 0
        for entry in retention.withLock({ $0.removable(entries, bytes: bytes, now: now) }) {
            do {
                let removal = try await context.images.remove(entry.id)
                freed += entry.size
                context.logger.notice(
                    "Removed an image that nobody uses, because the disk fills up",
                    metadata: ["image": "\(removal.names.first ?? entry.id)"])
            } catch {
                context.logger.warning(
                    "An unused image could not be removed", metadata: ["image": "\(entry.id)", "error": "\(error)"])
            }
        }
        return freed
    }

    /// Bytes as upstream's message has them, `10.0 GiB`.
    private static func text(_ bytes: UInt64) -> String {
        let tenths = bytes / ((1 << 30) / 10)
        return "\(tenths / 10).\(tenths % 10) GiB"
    }
}

extension Image {
    /// Whether a pod that names this image means it.
    fileprivate func isMeant(by name: String) -> Bool {
        // The beginning of an ID is no name; pods name images in full.
        guard let reference = try? ImageReference(parsing: name) else { return id.description == name }
        guard let digest = reference.digest else { return names.contains(reference.withDefaultTag.description) }
        return digests.contains("\(reference.repository)@\(digest)")
    }
}
