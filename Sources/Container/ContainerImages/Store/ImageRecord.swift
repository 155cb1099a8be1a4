// SPDX-License-Identifier: Apache-2.0

import JSON

/// An image in the store, as the store's list keeps it.
package struct Image: Hashable, Sendable {
    /// The digest of the image's configuration: its identity ("image ID").
    package let id: Digest
    /// The digest of the manifest that it came with.
    package var manifest: Digest
    /// The names with tags that mean this image, `docker.io/library/busybox:latest`, sorted.
    package var names: [String]
    /// The names with digests, `docker.io/library/busybox@sha256:…`, sorted.
    package var digests: [String]
    /// The layers' chain identifiers (image-spec, config.md, "Layer ChainID"), the lowest first.
    package let layers: [Digest]
    /// Bytes that the image takes up on disk, shared layers included.
    package var size: UInt64
    /// The user that the configuration names, `1000:1000`; empty for root.
    package var user: String

    /// What a status calls the image: its first name with a digest, else the ID.
    package var reference: String { digests.first ?? id.description }
}

extension Image {
    init(json: JSON) throws {
        guard let id = json["id"]?.string, let manifest = json["manifest"]?.string, let size = json["size"]?.int else {
            throw ImageError(.malformed, "read the list of images", "an entry lacks id, manifest or size")
        }
        self.id = try Digest(id)
        self.manifest = try Digest(manifest)
        names = json["names"]?.elements.compactMap(\.string) ?? []
        digests = json["digests"]?.elements.compactMap(\.string) ?? []
        layers = try json["layers"]?.elements.compactMap(\.string).map { try Digest($0) } ?? []
        self.size = UInt64(clamping: size)
        user = json["user"]?.string ?? ""
    }

    var json: JSON {
        [
            "id": .string(id.description), "manifest": .string(manifest.description), "names": JSON(names),
            "digests": JSON(digests), "layers": JSON(layers.map(\.description)), "size": .int(Int64(clamping: size)),
            "user": .string(user),
        ]
    }
}

/// What `layer.json` in a layer's directory says.
struct LayerRecord: Hashable, Sendable {
    /// The digest of this layer and all below it.
    let chainID: Digest
    /// The digest of the uncompressed tar.
    let diffID: Digest
    /// The uncompressed tar's length.
    let tarBytes: UInt64
    /// Bytes that the unpacked layer takes up.
    let diskBytes: UInt64

    init(chainID: Digest, diffID: Digest, tarBytes: UInt64, diskBytes: UInt64) {
        self.chainID = chainID
        self.diffID = diffID
        self.tarBytes = tarBytes
        self.diskBytes = diskBytes
    }

    init(json: JSON) throws {
        guard let chain = json["chainID"]?.string, let diff = json["diffID"]?.string,
            let tarBytes = json["tarBytes"]?.int, let diskBytes = json["diskBytes"]?.int
        else { throw ImageError(.malformed, "read a layer's record", "it lacks a field") }
        chainID = try Digest(chain)
        diffID = try Digest(diff)
        self.tarBytes = UInt64(clamping: tarBytes)
        self.diskBytes = UInt64(clamping: diskBytes)
    }

    var json: JSON {
        [
            "chainID": .string(chainID.description), "diffID": .string(diffID.description),
            "tarBytes": .int(Int64(clamping: tarBytes)), "diskBytes": .int(Int64(clamping: diskBytes)),
        ]
    }

    /// The chain identifiers of layers with these diffIDs, the lowest first (image-spec, config.md, "Layer ChainID").
    static func chainIDs(of diffIDs: [Digest]) -> [Digest] {
        var chain: [Digest] = []
        for diffID in diffIDs {
            guard let below = chain.last else {
                chain.append(diffID)
                continue
            }
            chain.append(Digest(of: Array("\(below) \(diffID)".utf8)))
        }
        return chain
    }
}
