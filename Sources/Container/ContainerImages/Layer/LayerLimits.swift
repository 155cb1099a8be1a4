// SPDX-License-Identifier: Apache-2.0

/// Bounds on what one layer or document may cost, against hostile or broken images.
package struct ImageLimits: Sendable, Hashable {
    /// The most bytes that a layer may have uncompressed.
    package var layerBytes: UInt64 = 64 << 30
    /// The most members of a layer.
    package var layerEntries = 2_000_000
    /// The most layers of an image; overlayfs takes 500.
    package var layers = 256
    /// The most bytes of a manifest or index; registries accept 4 MiB (distribution-spec, "Pushing Manifests").
    package var manifestBytes = 4 << 20
    /// The most bytes of an image configuration.
    package var configurationBytes = 8 << 20
    /// Disk space that unpacking leaves free, so that the rest of the system goes on working.
    package var reservedDiskBytes: UInt64 = 64 << 20
    /// The most members of an imported archive.
    package var archiveEntries = 100_000

    package init() {}
}
