// SPDX-License-Identifier: Apache-2.0

import LinuxSystem
import Logging

/// Reading what containers wrote.
extension PodRuntime {
    /// The message that a container left in its termination message file; empty if there is none.
    package func terminationMessage(of record: ContainerRecord, limit: Int) -> String {
        // A file that cannot be read has no message.
        guard let path = record.terminationMessagePath, let bytes = try? Files.read(path, limit: limit) else {
            return ""
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The last lines of a container's log.
    package func logTail(of record: ContainerRecord, lines: Int, bytes: Int) -> String {
        var options = LogOptions()
        options.tailLines = lines
        // A log that cannot be read has no lines.
        guard let file = try? FileDescriptor.open(record.logPath, .read),
            let offset = try? LogTail.offset(of: lines, in: file, record.logPath),
            let text = try? file.bytes(at: offset, limit: 1 << 20, record.logPath)
        else { return "" }
        var formatter = LogFormatter(options) { _ in nil }
        return String(decoding: formatter.feed(text).suffix(bytes), as: UTF8.self)
    }

    /// Removes the log of one instance with what was rotated away of it.
    ///
    /// - Parameter link: What leads to the log from elsewhere; nil where nothing does yet.
    func removeLog(at path: String, link: String?) async {
        do {
            try await blocking {
                if let link { try Files.remove(link) }
                let directory = Files.directory(of: path)
                guard try Files.status(directory) != nil else { return }
                let name = String(path.dropFirst(directory.utf8.count + 1))
                for file in try Files.names(in: directory) where file == name || file.hasPrefix("\(name).") {
                    try Files.remove("\(directory)/\(file)")
                }
            }
        } catch {
            logger.warning("A log could not be removed", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }

    /// Sends a container's log to a reader as its options say; with `follow` until the container has ended.
    ///
    /// - Parameters:
    ///   - parseTime: Nanoseconds since 1970 of an RFC 3339 text.
    ///   - send: Takes pieces of the text; throws when the reader is gone.
    package func readLog(
        _ id: String, _ options: LogOptions, parseTime: @escaping @Sendable (String) -> Int64?,
        send: @Sendable ([UInt8]) async throws -> Void
    ) async throws {
        guard let record = record(id) else { throw RuntimeError(.notFound, "read log", "there is no container \(id)") }
        var reader = LogReader(path: record.logPath)
        try await blocking { [reader] in
            if try Files.status(record.logPath) == nil {
                throw RuntimeError(.notFound, "read log", "failed to try resolving symlinks in path \(reader.path)")
            }
        }
        var formatter = LogFormatter(options, parseTime: parseTime)
        try await reader.open(options, in: self)
        while !Task.isCancelled, !formatter.isExhausted {
            let isRunning = self.record(id).map { $0.exit == nil } ?? false
            let bytes = try await reader.next(in: self)
            if !bytes.isEmpty {
                let text = formatter.feed(bytes)
                if !text.isEmpty { try await send(text) }
                continue
            }
            // What was written before the end was seen has been read above.
            guard options.follow, isRunning else { return }
            try await reader.waitForMore(id, in: self)
        }
    }
}

/// A place in a log that may be rotated while it is read.
struct LogReader: Sendable {
    private static let pieceSize = 64 << 10
    /// How often a followed log is looked at: nothing tells of a log's growth at less cost.
    private static let interval = Duration.milliseconds(100)

    let path: String
    private var offset: UInt64 = 0
    private var inode: UInt64 = 0

    init(path: String) { self.path = path }

    mutating func open(_ options: LogOptions, in runtime: PodRuntime) async throws {
        let (path, lines) = (path, options.tailLines)
        (offset, inode) = try await runtime.blocking {
            let file = try FileDescriptor.open(path, .read)
            let status = try file.status(path)
            guard let lines else { return (UInt64(0), status.inode) }
            return (try LogTail.offset(of: lines, in: file, path), status.inode)
        }
    }

    /// The next bytes; empty at the end for now.
    mutating func next(in runtime: PodRuntime) async throws -> [UInt8] {
        let (path, offset, inode) = (path, offset, inode)
        let (bytes, newOffset, newInode) = try await runtime.blocking { () -> ([UInt8], UInt64, UInt64) in
            // Between the rotation and the new file there is none.
            guard let status = try Files.status(path) else { return ([], offset, inode) }
            if status.inode == inode {
                let bytes = try FileDescriptor.open(path, .read).bytes(at: offset, limit: Self.pieceSize, path)
                return (bytes, offset + UInt64(bytes.count), inode)
            }
            if let rest = try Self.rest(of: path, inode: inode, from: offset), !rest.isEmpty {
                return (rest, offset + UInt64(rest.count), inode)
            }
            let bytes = try FileDescriptor.open(path, .read).bytes(at: 0, limit: Self.pieceSize, path)
            return (bytes, UInt64(bytes.count), status.inode)
        }
        (self.offset, self.inode) = (newOffset, newInode)
        return bytes
    }

    /// What had not been read of a file that was rotated away.
    private static func rest(of path: String, inode: UInt64, from offset: UInt64) throws -> [UInt8]? {
        let directory = Files.directory(of: path)
        let name = path.split(separator: "/").last.map(String.init) ?? ""
        for candidate in try Files.names(in: directory) where candidate.hasPrefix(name) && candidate != name {
            let whole = "\(directory)/\(candidate)"
            guard try Files.status(whole)?.inode == inode else { continue }
            return try FileDescriptor.open(whole, .read).bytes(at: offset, limit: pieceSize, whole)
        }
        return nil
    }

    func waitForMore(_ id: String, in runtime: PodRuntime) async throws { try await Task.sleep(for: Self.interval) }
}
