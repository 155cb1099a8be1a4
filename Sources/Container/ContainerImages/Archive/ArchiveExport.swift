// SPDX-License-Identifier: Apache-2.0

import JSON
import LinuxSystem
import OCISpec

/// Writes images as one archive that is both an OCI image layout and docker's format, as `docker save` does since
/// version 25: `docker load`, `podman load`, `ctr images import` and ``ArchiveCatalog`` accept it.
///
/// Layers are uncompressed; their tars are made again from the unpacked files, and checked against their digests.
struct ArchiveExport {
    let store: ImageStore

    /// One image with the names that it is to have.
    struct Item {
        let image: Image
        let names: [String]
    }

    /// Writes the archive to an open file or pipe.
    func write(_ items: [Item], to file: SharedFile, subject: String) throws {
        var tar = TarWriter(file, subject)
        try tar.member("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))
        try tar.directory("blobs")
        try tar.directory("blobs/sha256")
        var written: Set<Digest> = []
        var index: [Descriptor] = []
        var docker: [JSON] = []
        for item in items {
            let configuration = try store.blob(item.image.id)
            let manifest = try store.uncompressedManifest(configuration: configuration, layers: item.image.layers)
            let manifestBytes = manifest.serialized()
            for chainID in item.image.layers { try writeLayer(chainID, &tar, &written) }
            for bytes in [configuration, manifestBytes] where written.insert(Digest(of: bytes)).inserted {
                try tar.member("blobs/sha256/\(Digest(of: bytes).hex)", bytes)
            }
            index += descriptors(of: manifestBytes, item)
            docker.append(try dockerEntry(item, manifest))
        }
        try tar.member("index.json", ImageIndex(manifests: index).serialized())
        try tar.member("manifest.json", JSON.array(docker).serialized())
        try tar.finish()
    }

    private func descriptors(of manifest: [UInt8], _ item: Item) -> [Descriptor] {
        var plain = Descriptor(
            mediaType: MediaType.ociManifest, digest: Digest(of: manifest).description, size: Int64(manifest.count))
        if item.names.isEmpty { return [plain] }
        return item.names.map { name in
            plain.annotations = [
                "io.containerd.image.name": name, "org.opencontainers.image.ref.name": name,
            ]
            return plain
        }
    }

    private func dockerEntry(_ item: Item, _ manifest: ImageManifest) throws -> JSON {
        let paths = try manifest.layers.map { "blobs/sha256/\(try Digest($0.digest).hex)" }
        return [
            "Config": .string("blobs/sha256/\(item.image.id.hex)"),
            // With the registry's name: podman would take a short one for `localhost/…`.
            "RepoTags": item.names.isEmpty ? .null : JSON(item.names), "Layers": JSON(paths),
        ]
    }

    private func writeLayer(_ chainID: Digest, _ tar: inout TarWriter, _ written: inout Set<Digest>) throws {
        let record = try store.layerRecord(chainID)
        guard written.insert(record.diffID).inserted else { return }
        try tar.begin("blobs/sha256/\(record.diffID.hex)", size: record.tarBytes)
        let layer = SharedDirectory(try store.layers.handle.openDirectory(chainID.hex))
        var digest = try StreamDigest()
        try TarSplitReader(layer: layer).read { bytes in
            digest.update(bytes)
            try tar.write(bytes)
        }
        try tar.end()
        guard digest.finish().digest == record.diffID else {
            throw ImageError(
                .digestMismatch, "", "the stored files of layer \(record.diffID) have changed",
                remedy: "remove the image and pull it again; check the disk")
        }
    }
}
