// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import OCISpec

/// The terminal of a container's process.
enum Console {
    /// The magic number of devpts.
    static let devptsMagic: UInt32 = 0x1CD1

    /// Gives the master to whoever asked for it and makes the other side this process's terminal.
    static func handOver(
        _ master: borrowing FileDescriptor, to socket: CInt?, for process: RuntimeSpec.Process
    ) throws(LauncherError) {
        guard let socket else { throw LauncherError("a terminal needs a console socket") }
        do {
            let peer = try Terminal.openPeer(of: master)
            if let size = process.consoleSize {
                try Terminal.setSize(of: master, rows: size.height, columns: size.width)
            }
            // The name comes along, as with runc and crun.
            try Sockets.send(Array("/dev/ptmx\0".utf8), descriptors: [master.rawValue], on: socket)
            try Terminal.makeControlling(peer)
            for number: CInt in 0...2 { try peer.place(at: number) }
            if process.user.uid != 0 { giveTo(process.user.uid, peer) }
        } catch {
            throw LauncherError("setting the terminal up", error)
        }
    }

    private static func giveTo(_ owner: UInt32, _ terminal: borrowing FileDescriptor) {
        // In a user namespace that does not map the terminal's group this fails, and the group's rights do.
        try? terminal.setOwner(owner, group: UInt32.max)
    }
}
