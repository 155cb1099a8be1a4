// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

extension Board {
    /// The machine that this process runs on.
    ///
    /// - Parameters:
    ///   - root: put before the paths of files; empty for the machine itself.
    ///   - addresses: addresses of links that are up, without loopback.
    ///   - dropsForwarded: whether a packet filter drops what is forwarded; nil if nobody looked.
    package static func machine(
        root: String = "", needs: Needs, addresses: [IPAddress], hasDefaultRoute: Bool, dropsForwarded: Bool? = nil
    ) -> Board {
        var probes = Probes(
            now: FileTime.now().seconds, isClockSynchronised: SystemFacts.isClockSynchronised,
            pageBytes: SystemFacts.pageBytes, addresses: addresses, hasDefaultRoute: hasDefaultRoute,
            dropsForwarded: dropsForwarded)
        let directory = nearestDirectory(needs.stateDirectory)
        // A directory that cannot be looked at is told of by whoever needs it.
        probes.space = try? FileDescriptor.open(directory, [.read, .directory]).space(directory)
        probes.fileSystemType = try? Mounting.fileSystemType(of: directory)
        return Board(root: root, probes: probes, needs: needs)
    }

    /// The directory itself, or the first one above it that exists.
    private static func nearestDirectory(_ path: String) -> String {
        var path = path
        while path != "/", path != ".", !Files.exists(path) { path = Files.directory(of: path) }
        return path
    }
}
