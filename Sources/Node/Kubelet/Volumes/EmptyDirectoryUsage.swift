// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import LinuxSystem
import NIOPosix

/// Finds emptyDir volumes on disk that hold more than they may.
struct EmptyDirectoryUsage: Sendable {
    /// A volume with a limit.
    private struct Volume: Sendable {
        var name: String
        var path: String
        /// Bytes.
        var limit: Int64
        /// The limit as the pod's spec has it.
        var text: String
    }

    /// How often the volumes of a pod are looked at (upstream: the eviction manager's monitoringInterval).
    static let interval = Duration.seconds(10)
    /// How deep directories are looked into: beyond it lie only files made to be missed.
    private static let depthLimit = 256

    private let volumes: [Volume]

    /// Nil for a pod without such a volume, which then costs nothing.
    ///
    /// - Parameter path: Where a volume of that name lies.
    init?(_ pod: Pod, path: (String) -> String) {
        volumes = pod.volumes.compactMap { volume in
            // The file system of a volume in memory limits it itself.
            guard let source = volume["emptyDir"], source["medium"]?.string != "Memory",
                let limit = ResourceAmount.units(source["sizeLimit"]), limit > 0, let name = volume["name"]?.string
            else { return nil }
            let text = source["sizeLimit"]?.string ?? "\(limit)"
            return Volume(name: name, path: path(name), limit: limit, text: text)
        }
        if volumes.isEmpty { return nil }
    }

    /// Upstream's message about the first volume that holds too much; nil if none does.
    func excess() async throws -> String? {
        try await NIOThreadPool.singleton.runIfActive { [volumes] in
            for volume in volumes where try Self.bytes(in: volume.path, stopAt: volume.limit) > volume.limit {
                return "Usage of EmptyDir volume \"\(volume.name)\" exceeds the limit \"\(volume.text)\". "
            }
            return nil
        }
    }

    /// Bytes on disk below a directory, counted until they are more than a limit. Files with several names count once.
    static func bytes(in directory: String, stopAt limit: Int64) throws(SystemError) -> Int64 {
        try use(of: directory, stopAt: limit).bytes
    }

    /// Bytes and inodes below a directory, counted until the bytes are more than a limit.
    static func use(of directory: String, stopAt limit: Int64) throws(SystemError) -> (bytes: Int64, inodes: Int64) {
        var sum: Int64 = 0
        var inodes: Int64 = 0
        var linked: Set<UInt64> = []
        var open = [(path: directory, depth: 0)]
        while let (path, depth) = open.popLast(), sum <= limit {
            // Files come and go while they are looked at.
            guard let names = try? Files.names(in: path) else { continue }
            for name in names {
                guard let status = try? Files.status("\(path)/\(name)") else { continue }
                if status.kind == .directory, depth < depthLimit { open.append(("\(path)/\(name)", depth + 1)) }
                if status.kind == .regular, status.links > 1, !linked.insert(status.inode).inserted { continue }
                sum += Int64(clamping: status.allocatedBytes)
                inodes += 1
            }
        }
        return (sum, inodes)
    }
}

extension PodVolumes {
    /// The pod's emptyDir volumes on disk that have a limit; nil if there is none.
    var limitedDirectories: EmptyDirectoryUsage? { EmptyDirectoryUsage(pod) { emptyDirectoryPath($0) } }
}
