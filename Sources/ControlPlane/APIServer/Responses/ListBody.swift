// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import NIOCore
import Storage

/// Assembles lists from stored bytes.
enum ListBody {
    /// The list of stored objects as they are; each loses its type, which the list's own kind tells.
    static func assemble(_ page: ListPage, _ served: ServedResource) -> ByteBuffer {
        let head = header(page, kind: served.info.listKind, apiVersion: served.kind.groupVersion.description)
        let total = page.values.reduce(head.count + 2) { $0 + $1.bytes.count + 1 }
        var buffer = ByteBufferAllocator().buffer(capacity: total)
        buffer.writeBytes(head)
        let skipped = served.header.count
        var isFirst = true
        for value in page.values {
            if !isFirst { buffer.writeInteger(UInt8(ascii: ",")) }
            isFirst = false
            buffer.writeInteger(UInt8(ascii: "{"))
            buffer.writeBytes(value.bytes[skipped...])
        }
        buffer.writeString("]}")
        return buffer
    }

    /// A list of decoded objects.
    static func assemble(_ page: ListPage, items: [JSON], kind: String, apiVersion: String) -> ByteBuffer {
        var bytes = header(page, kind: kind, apiVersion: apiVersion)
        var isFirst = true
        for item in items {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            item.serialize(into: &bytes)
        }
        bytes.append(contentsOf: "]}".utf8)
        return ByteBuffer(bytes: bytes)
    }

    private static func header(_ page: ListPage, kind: String, apiVersion: String) -> [UInt8] {
        var text = "{\"kind\":\"\(kind)\",\"apiVersion\":\"\(apiVersion)\",\"metadata\":\(metadata(page).text())"
        text += ",\"items\":["
        return Array(text.utf8)
    }

    /// meta/v1 ListMeta.
    static func metadata(_ page: ListPage) -> JSON {
        var metadata: JSON = ["resourceVersion": .string(String(page.revision))]
        if !page.continueToken.isEmpty { metadata["continue"] = .string(page.continueToken) }
        if let remaining = page.remaining { metadata["remainingItemCount"] = JSON(remaining) }
        return metadata
    }
}
