// SPDX-License-Identifier: Apache-2.0

package import LinuxSystem

/// The machine that is examined: its files below a root, and what files do not tell.
///
/// Tests examine recorded directories; the values of ``Probes`` are then given rather than measured.
package struct Board: Sendable {
    /// What is asked of the running system.
    package struct Probes: Sendable {
        /// Seconds since 1970.
        package var now: Int64
        /// Whether a time service keeps the clock; nil where nobody knows.
        package var isClockSynchronised: Bool?
        /// Bytes.
        package var pageBytes: Int
        /// Addresses of links that are up, without loopback and our own bridge.
        package var addresses: [IPAddress]
        package var hasDefaultRoute: Bool
        /// Room on the file system of the state directory; nil if it cannot be looked at.
        package var space: FileSystemSpace?
        /// The magic number of that file system (statfs(2)).
        package var fileSystemType: UInt32?
        /// Whether a packet filter drops what is forwarded; nil where nobody looked.
        package var dropsForwarded: Bool?

        /// - Parameter now: seconds since 1970.
        package init(
            now: Int64, isClockSynchronised: Bool? = true, pageBytes: Int = 4096, addresses: [IPAddress] = [],
            hasDefaultRoute: Bool = true, space: FileSystemSpace? = nil, fileSystemType: UInt32? = nil,
            dropsForwarded: Bool? = nil
        ) {
            self.now = now
            self.isClockSynchronised = isClockSynchronised
            self.pageBytes = pageBytes
            self.addresses = addresses
            self.hasDefaultRoute = hasDefaultRoute
            self.space = space
            self.fileSystemType = fileSystemType
            self.dropsForwarded = dropsForwarded
        }
    }

    /// A port that must be free.
    package struct Port: Sendable, Hashable {
        package var number: Int
        package var isUDP: Bool
        /// What listens there, for the message.
        package var purpose: String
        /// The configuration's field that changes it.
        package var field: String

        package init(_ number: Int, isUDP: Bool = false, purpose: String, field: String) {
            self.number = number
            self.isUDP = isUDP
            self.purpose = purpose
            self.field = field
        }
    }

    /// What is wanted of the machine.
    package struct Needs: Sendable {
        /// Where state is kept.
        package var stateDirectory: String
        /// Ports that must be free; none while the agent itself holds them.
        package var ports: [Port]
        /// The configuration's field that gives containers IPv6 addresses; nil where they have none.
        package var fieldOfIPv6: String?

        package init(stateDirectory: String, ports: [Port] = [], fieldOfIPv6: String? = nil) {
            self.stateDirectory = stateDirectory
            self.ports = ports
            self.fieldOfIPv6 = fieldOfIPv6
        }
    }

    /// Largest file that is looked at: modules.dep of a distribution kernel has half a megabyte.
    private static let fileLimit = 4 << 20

    /// Put before every path; empty for the machine itself.
    package let root: String
    package let probes: Probes
    package let needs: Needs

    package init(root: String = "", probes: Probes, needs: Needs) {
        self.root = root
        self.probes = probes
        self.needs = needs
    }

    /// The text of a file without its last line feed; nil if it cannot be read, which is an answer here.
    func text(_ path: String) -> String? {
        // A file that is missing on this kernel or distribution has nothing to say.
        try? Files.readText(root + path, limit: Self.fileLimit)
    }

    func exists(_ path: String) -> Bool { Files.exists(root + path) }

    /// The names in a directory, sorted; none where it is missing.
    func names(_ path: String) -> [String] {
        // As with files: what is not there is empty.
        ((try? Files.names(in: root + path)) ?? []).sorted()
    }

    /// The kernel's release, `6.12.25+rpt-rpi-v8`.
    var kernelRelease: String { text("/proc/sys/kernel/osrelease") ?? "" }

    /// The board's name from its device tree, `Raspberry Pi 4 Model B Rev 1.4`; empty on a PC.
    package var model: String {
        // The kernel ends the string as C does.
        (text("/proc/device-tree/model") ?? "").filter { $0 != "\0" && !$0.isNewline }
    }

    var isRaspberryPi: Bool { model.hasPrefix("Raspberry Pi") }
}
