// SPDX-License-Identifier: Apache-2.0

import LinuxSystem

/// One member of a tar archive.
struct TarEntry: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case regular, hardLink, symbolicLink, characterDevice, blockDevice, directory, fifo
        /// A type flag that says nothing to us; upstream ignores such members.
        case unknown(UInt8)
    }

    var path: String
    var kind: Kind
    /// The target of a link.
    var linkTarget = ""
    var permissions: UInt32 = 0
    var owner: UInt32 = 0
    var group: UInt32 = 0
    /// Bytes of content that follow the header.
    var size: UInt64 = 0
    var modified = FileTime(seconds: 0)
    var major: UInt32 = 0
    var minor: UInt32 = 0
    /// Extended attributes (`SCHILY.xattr.` records), sorted by name.
    var attributes: [Attribute] = []

    struct Attribute: Hashable, Sendable {
        let name: String
        let value: [UInt8]
    }
}

/// Receives what a ``TarParser`` reads. Members come in the order of the archive, and
/// `raw` and `content` together give back every byte of it, in order.
protocol TarSink {
    /// Bytes that are not the content of a member that was asked for: headers, padding, the end, unwanted content.
    mutating func raw(_ bytes: UnsafeRawBufferPointer) throws
    /// A member begins; true asks for its content by `content`. A member without content ends right away.
    mutating func begin(_ entry: TarEntry) throws -> Bool
    /// The next bytes of the member's content.
    mutating func content(_ bytes: UnsafeRawBufferPointer) throws
    /// The member's content is complete.
    mutating func end() throws
}
