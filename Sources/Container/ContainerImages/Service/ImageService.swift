// SPDX-License-Identifier: Apache-2.0

import AsyncHTTPClient
package import LinuxSystem
package import Logging
package import OCISpec

/// How an ``ImageService`` works.
package struct ImageServiceConfiguration: Sendable, Hashable {
    /// Where images and containers' file systems are kept, `/var/lib/swiftlet/images`.
    package var directory: String
    package var registries = RegistryConfiguration()
    /// What images are to run on.
    package var platform = Platform.current
    package var limits = ImageLimits()

    package init(directory: String) { self.directory = directory }
}

/// The node's images: pulls, imports and exports them, and makes containers' root file systems of them.
///
/// There is one in the agent; the command line makes its own on the same directory, also while the agent runs (see
/// ``ImageStore``). Every call may be made at any time from any task; what blocks on the disk runs on NIO's thread pool.
package actor ImageService {
    nonisolated let configuration: ImageServiceConfiguration
    nonisolated let store: ImageStore
    private nonisolated let logger: Logger
    /// The pulls that run. Each has at least one waiter.
    private var pulls: [PullKey: RunningPull] = [:]
    private var waiterCount = 0

    private struct PullKey: Hashable {
        let reference: ImageReference
        /// A caller must not get by another's credentials what its own would not give.
        let credentials: RegistryCredentials
    }

    private struct RunningPull {
        let task: Task<Void, Never>
        /// The callers that wait, by their numbers.
        var waiters: [Int: CheckedContinuation<Result<Image, ImageError>, Never>] = [:]
    }

    /// Opens the store.
    ///
    /// - Parameter cleansUp: whether to collect what killed processes left behind, as the agent does when it starts.
    package init(
        configuration: ImageServiceConfiguration, logger: Logger, cleansUp: Bool = true
    ) async throws(ImageError) {
        self.configuration = configuration
        self.logger = logger
        store = try await blocking("open the image store") {
            try ImageStore(path: configuration.directory, limits: configuration.limits, cleansUp: cleansUp)
        }
    }
}

// MARK: - Pulling

extension ImageService {
    /// Pulls an image and gives it its name. What is in the store already is not fetched again.
    ///
    /// Calls for the same image with the same credentials share one pull, which ends early when none of them waits any
    /// longer. `progress` is that of the call that started it.
    package func pull(
        _ reference: String, credentials: RegistryCredentials = RegistryCredentials(),
        progress: (@Sendable (ImageProgress) -> Void)? = nil
    ) async throws(ImageError) -> Image {
        let name = try ImageReference(parsing: reference).withDefaultTag
        let key = PullKey(reference: name, credentials: credentials)
        waiterCount += 1
        let number = waiterCount
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                var running = pulls[key] ?? start(key, progress)
                running.waiters[number] = continuation
                pulls[key] = running
            }
        } onCancel: {
            // Not structured: a cancellation handler cannot wait, and the actor must learn of it.
            Task { await self.leave(key, number) }
        }
        return try result.get()
    }

    private func start(_ key: PullKey, _ progress: (@Sendable (ImageProgress) -> Void)?) -> RunningPull {
        let (configuration, store, logger) = (configuration, store, logger)
        // Not structured: the pull belongs to all callers that wait for it, the first of which may give up early.
        let task = Task {
            let result: Result<Image, ImageError>
            do throws(ImageError) {
                result = .success(
                    try await Self.pull(
                        key.reference, key.credentials, configuration, store, ProgressMeter(progress), logger))
            } catch {
                result = .failure(error)
            }
            self.finish(key, result)
        }
        return RunningPull(task: task)
    }

    private static func pull(
        _ reference: ImageReference, _ credentials: RegistryCredentials, _ configuration: ImageServiceConfiguration,
        _ store: ImageStore, _ progress: ProgressMeter, _ logger: Logger
    ) async throws(ImageError) -> Image {
        // A client for each pull: an idle node keeps no connections and no tokens.
        let http = RegistryClient.makeHTTPClient(configuration.registries.timeouts)
        let result: Result<Image, ImageError>
        do throws(ImageError) {
            let client = try RegistryClient(
                reference: reference, credentials: credentials, configuration: configuration.registries,
                limits: configuration.limits, client: http, logger: logger)
            let pull = ImagePull(
                store: store, reference: reference, platform: configuration.platform, client: client,
                progress: progress)
            result = .success(try await pull.run())
        } catch {
            result = .failure(error)
        }
        do {
            try await http.shutdown()
        } catch {
            logger.debug("closing the registry's connections failed", metadata: ["error": "\(error)"])
        }
        return try result.get()
    }

    private func finish(_ key: PullKey, _ result: Result<Image, ImageError>) {
        guard let running = pulls.removeValue(forKey: key) else { return }
        for waiter in running.waiters.values { waiter.resume(returning: result) }
    }

    /// One caller no longer waits; with the last one the pull ends.
    private func leave(_ key: PullKey, _ number: Int) {
        guard let waiter = pulls[key]?.waiters.removeValue(forKey: number) else { return }
        waiter.resume(returning: .failure(ImageError(.unavailable, "pull image \"\(key.reference)\"", "cancelled")))
        if pulls[key]?.waiters.isEmpty == true { pulls[key]?.task.cancel() }
    }
}

// MARK: - The store

extension ImageService {
    /// The image of a name (with tag or digest, normalised or not), of an ID, or of the first digits of one; nil where
    /// there is none.
    package nonisolated func resolve(_ reference: String) async throws(ImageError) -> Image? {
        try await blocking("look for image \"\(reference)\"") { [store] in try store.image(reference) }
    }

    /// All images.
    package nonisolated func list() async throws(ImageError) -> [Image] {
        try await blocking("list the images") { [store] in try store.images() }
    }

    /// How to run an image (image-spec, config.md).
    package nonisolated func imageConfiguration(_ image: Image) async throws(ImageError) -> ImageConfig {
        try await blocking("read the configuration of image \(image.id)") { [store] in
            try ImageConfig.parsed(try store.blob(image.id), "configuration \(image.id)")
        }
    }

    /// Takes a name away from its image, and removes the image with its last name; an ID removes it with all names.
    /// Containers that use it keep its layers.
    ///
    /// - Throws: ``ImageError/Kind/notFound``.
    @discardableResult
    package nonisolated func remove(_ reference: String) async throws(ImageError) -> ImageRemoval {
        try await blocking("remove image \"\(reference)\"") { [store] in try store.remove(reference) }
    }

    /// Gives an image another name.
    package nonisolated func tag(_ reference: String, as newName: String) async throws(ImageError) {
        let name = try ImageReference(parsing: newName)
        try await blocking("tag image \"\(reference)\"") { [store] in try store.tag(reference, as: name) }
    }

    /// Removes what no image, container or running pull needs.
    @discardableResult
    package nonisolated func collectGarbage() async throws(ImageError) -> CollectionResult {
        try await blocking("clean up the image store") { [store] in try store.collectGarbage() }
    }

    /// Room on the images' file system.
    package nonisolated func space() async throws(ImageError) -> FileSystemSpace {
        try await blocking("measure the image store") { [store] in try store.space() }
    }

    /// What the images take up, and room on their file system: for the collection of images by disk usage.
    package nonisolated func usage() async throws(ImageError) -> ImageUsage {
        try await blocking("measure the image store") { [store] in
            ImageUsage(imageBytes: try store.imageBytes(), space: try store.space())
        }
    }
}

/// What the images take up.
package struct ImageUsage: Hashable, Sendable {
    /// Bytes of all unpacked layers, each counted once.
    package let imageBytes: UInt64
    /// The store's file system.
    package let space: FileSystemSpace
}

// MARK: - Containers

extension ImageService {
    /// Makes and mounts a container's root file system; again for the same container, it mounts what is there.
    ///
    /// - Parameter containerID: letters, digits, `.`, `_` and `-`.
    package nonisolated func prepareRootFileSystem(
        _ image: Image, containerID: String
    ) async throws(ImageError) -> ContainerFileSystem {
        try await blocking("prepare the file system of container \(containerID)") { [store] in
            try store.prepareContainer(containerID, image: image)
        }
    }

    /// Unmounts and removes a container's root file system; one that does not exist is no error.
    package nonisolated func removeRootFileSystem(containerID: String) async throws(ImageError) {
        try await blocking("remove the file system of container \(containerID)") { [store] in
            try store.removeContainer(containerID)
        }
    }

    /// The containers that have a root file system, for finding those that nobody knows any longer.
    package nonisolated func rootFileSystems() async throws(ImageError) -> [String] {
        try await blocking("list the containers' file systems") { [store] in try store.containerIDs() }
    }

    /// What a container has written to its root file system.
    package nonisolated func rootFileSystemUsage(containerID: String) async throws(ImageError) -> DiskUsage {
        try await blocking("measure the file system of container \(containerID)") { [store] in
            try store.containerUsage(containerID)
        }
    }
}
