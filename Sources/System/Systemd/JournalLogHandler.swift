// SPDX-License-Identifier: Apache-2.0

import CSystemd
import LinuxSystem
package import Logging

/// A swift-log back end that sends events to journald with their metadata as fields (sd_journal_sendv(3)).
package struct JournalLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let label: String
    private let identifier: String
    private let unspoken: Set<String>

    /// - Parameters:
    ///   - label: the logger's, sent as `SWIFTLET_LOGGER`.
    ///   - identifier: what `journalctl -t` selects and prints before each line.
    ///   - unspoken: keys of the logger's own metadata that become fields, and no part of the message.
    package init(
        label: String, identifier: String = "swiftlet", logLevel: Logger.Level = .info, unspoken: Set<String> = []
    ) {
        self.label = label
        self.identifier = identifier
        self.unspoken = unspoken
        self.logLevel = logLevel
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        let merged = mergedMetadata(of: event, own: metadata, provider: metadataProvider)
        let hidden = unspoken.filter { event.metadata?[$0] == nil }
        let fields = JournalFields(
            event, label: label, identifier: identifier, metadata: merged, unspoken: hidden)
        let result = fields.bytes.withUnsafeBytes { buffer -> CInt in
            guard let base = buffer.baseAddress else { return 0 }
            let vectors = fields.ranges.map { range in
                iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: base + range.lowerBound), iov_len: range.count)
            }
            return sd_journal_sendv(vectors, CInt(vectors.count))
        }
        if result < 0 {
            // journald is not there or refused: the line must not be lost.
            StandardError.write(Array((JournalFields.line(event, metadata: merged, unspoken: hidden) + "\n").utf8))
        }
    }
}

/// The metadata of one event: what the event says wins over its logger's, which wins over the provider's.
func mergedMetadata(
    of event: LogEvent, own: Logger.Metadata, provider: Logger.MetadataProvider?
) -> Logger.Metadata {
    var merged = provider?.get() ?? [:]
    merged.merge(own) { _, new in new }
    if let metadata = event.metadata { merged.merge(metadata) { _, new in new } }
    if let error = event.error, merged["error"] == nil { merged["error"] = .string(String(describing: error)) }
    return merged
}
