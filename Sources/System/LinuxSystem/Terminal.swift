// SPDX-License-Identifier: Apache-2.0

import CLinux
import Glibc

/// Pseudo-terminals (pty(7)).
package enum Terminal {
    /// Opens a new terminal's master of the devpts that `ptmx` belongs to, unlocked.
    package static func openMaster(_ ptmx: String = "/dev/ptmx") throws(SystemError) -> FileDescriptor {
        FileDescriptor(owning: try systemCall("open", ptmx) { clinux_open_pty_master(ptmx) })
    }

    /// Opens the other side through the master, whatever is mounted at /dev/pts.
    package static func openPeer(of master: borrowing FileDescriptor) throws(SystemError) -> FileDescriptor {
        let number = master.rawValue
        return FileDescriptor(owning: try systemCall("ioctl(TIOCGPTPEER)") { clinux_open_pty_peer(number) })
    }

    /// The terminal's number: its name is `/dev/pts/NUMBER`.
    package static func number(of master: borrowing FileDescriptor) throws(SystemError) -> Int32 {
        let number = master.rawValue
        return try systemCall("ioctl(TIOCGPTN)") { clinux_pty_number(number) }
    }

    /// Sets the size in characters; the foreground process group gets SIGWINCH.
    package static func setSize(
        of terminal: borrowing FileDescriptor, rows: UInt16, columns: UInt16
    ) throws(SystemError) {
        let number = terminal.rawValue
        try systemCall("ioctl(TIOCSWINSZ)") { clinux_set_window_size(number, rows, columns) }
    }

    /// The size in characters.
    package static func size(of terminal: CInt) throws(SystemError) -> (rows: UInt16, columns: UInt16) {
        var rows: UInt16 = 0
        var columns: UInt16 = 0
        try systemCall("ioctl(TIOCGWINSZ)") { clinux_get_window_size(terminal, &rows, &columns) }
        return (rows, columns)
    }

    /// Makes the terminal the controlling one of the session that the process leads.
    package static func makeControlling(_ terminal: borrowing FileDescriptor) throws(SystemError) {
        let number = terminal.rawValue
        try systemCall("ioctl(TIOCSCTTY)") { clinux_set_controlling_terminal(number) }
    }

    /// Turns the translation of line feeds on output off, as runc and crun do.
    package static func disableOutputTranslation(_ terminal: borrowing FileDescriptor) throws(SystemError) {
        let number = terminal.rawValue
        try systemCall("tcsetattr") { clinux_clear_onlcr(number) }
    }

    /// Whether a descriptor is a terminal.
    package static func isTerminal(_ descriptor: CInt) -> Bool { isatty(descriptor) == 1 }

    /// Puts a terminal into raw mode; the result restores it (``restore(_:_:)``).
    package static func makeRaw(_ terminal: CInt) throws(SystemError) -> [UInt8] {
        var saved = [UInt8](repeating: 0, count: clinux_termios_size())
        try systemCall("tcsetattr") { clinux_make_raw(terminal, &saved) }
        return saved
    }

    /// Gives a terminal back the mode that ``makeRaw(_:)`` found.
    package static func restore(_ terminal: CInt, _ saved: [UInt8]) throws(SystemError) {
        try systemCall("tcsetattr") { clinux_restore_terminal(terminal, saved) }
    }
}
