// SPDX-License-Identifier: Apache-2.0

import HTTPTransport
import LinuxSystem
import NIOCore
import NIOHTTP1
import NIOPosix

/// The machine's log directory over HTTP, to be read only (upstream: `http.FileServer` on /var/log).
///
/// Invariant: nothing outside the directory is read, whatever its symbolic links say; pods may have written some of them.
struct MachineLogs: Sendable {
    private static let pieceSize = 64 << 10

    /// The directory, `/var/log`.
    let root: String

    private enum Found: Sendable {
        case nothing
        case directory(names: [String])
        /// A regular file by its path below the resolved root.
        case file(root: String, relative: String, size: UInt64, isText: Bool)
    }

    /// - Parameters:
    ///   - path: The decoded parts below the directory.
    ///   - isDirectoryPath: Whether the path ends with a slash.
    func answer(_ path: [String], isDirectoryPath: Bool) async throws -> HTTPResponse {
        let found = try await NIOThreadPool.singleton.runIfActive { try find(path) }
        switch found {
        case .nothing: return .text("404 page not found", status: .notFound)
        case .directory(let names):
            if let last = path.last, !isDirectoryPath {
                // Relative links of the list need the slash.
                return HTTPResponse(
                    status: .movedPermanently, headers: ["Location": "\(Self.escaped(last))/"],
                    body: .bytes(ByteBuffer()))
            }
            return HTTPResponse(
                status: .ok, headers: ["Content-Type": "text/html; charset=utf-8"],
                body: .bytes(ByteBuffer(string: Self.list(names))))
        case .file(let root, let relative, let size, let isText):
            let type = isText ? "text/plain; charset=utf-8" : "application/octet-stream"
            return HTTPResponse(
                status: .ok, headers: ["Content-Type": type],
                body: .stream { try await Self.send(root, relative, size, to: $0) })
        }
    }

    private func find(_ path: [String]) throws -> Found {
        guard !path.contains(where: { $0 == ".." || $0.contains("\0") }) else { return .nothing }
        do {
            let root = try Files.resolved(root)
            let target = try Files.resolved(([root] + path).joined(separator: "/"))
            guard target == root || target.hasPrefix("\(root)/") else { return .nothing }
            let relative = String(target.dropFirst(root.count + 1))
            // What was resolved may be something else by now: the kernel holds the opening to the directory.
            let directory = try DirectoryHandle(path: root)
            let file = try directory.openFile(inRoot: relative)
            let status = try file.status(target)
            switch status.kind {
            case .directory: return .directory(names: try Self.names(directory.openDirectory(inRoot: relative)))
            case .regular:
                let isText = try !file.bytes(limit: 512, target).contains(0)
                return .file(root: root, relative: relative, size: status.size, isText: isText)
            default: return .nothing
            }
        } catch let error as SystemError where [Errno.ENOENT, Errno.ENOTDIR, Errno.ELOOP].contains(error.errno) {
            return .nothing
        }
    }

    private static func names(_ directory: borrowing DirectoryHandle) throws -> [String] {
        try directory.names().sorted().map { name in
            // An entry that has just gone is listed as the file that it was.
            (try? directory.status(of: name))?.kind == .directory ? "\(name)/" : name
        }
    }

    /// Sends the file as long as it was when the request came: a log may grow faster than it is read.
    private static func send(
        _ root: String, _ relative: String, _ size: UInt64, to writer: any HTTPBodyWriter
    ) async throws {
        var offset: UInt64 = 0
        while offset < size {
            let (start, limit) = (offset, Int(min(UInt64(pieceSize), size - offset)))
            let bytes = try await NIOThreadPool.singleton.runIfActive {
                try DirectoryHandle(path: root).openFile(inRoot: relative).bytes(at: start, limit: limit, relative)
            }
            if bytes.isEmpty { return }
            offset += UInt64(bytes.count)
            try await writer.write(ByteBuffer(bytes: bytes))
        }
    }

    // MARK: Text

    private static func list(_ names: [String]) -> String {
        var text = "<!doctype html>\n<meta name=\"viewport\" content=\"width=device-width\">\n<pre>\n"
        for name in names {
            let shown = name.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
                .replacing("\"", with: "&#34;").replacing("'", with: "&#39;")
            text += "<a href=\"\(escaped(name))\">\(shown)</a>\n"
        }
        return text + "</pre>\n"
    }

    private static let unescaped = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/".utf8)

    /// A relative reference to a name (RFC 3986): a colon in it begins no scheme.
    private static func escaped(_ name: String) -> String {
        var text = ""
        for byte in name.utf8 {
            if unescaped.contains(byte) {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16, uppercase: true)
                text += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return text
    }
}
