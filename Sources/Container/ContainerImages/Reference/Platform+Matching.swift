// SPDX-License-Identifier: Apache-2.0

package import OCISpec

extension Platform {
    /// The machine that this program was built for.
    package static var current: Platform {
        #if arch(arm64)
            Platform(architecture: "arm64", os: "linux", variant: "v8")
        #elseif arch(arm)
            Platform(architecture: "arm", os: "linux", variant: "v7")
        #elseif arch(x86_64)
            Platform(architecture: "amd64", os: "linux")
        #elseif arch(riscv64)
            Platform(architecture: "riscv64", os: "linux")
        #else
            Platform(architecture: "unknown", os: "linux")
        #endif
    }

    /// `linux/arm64`, `linux/arm/v7`: as docker and containerd write it.
    package var text: String {
        let normal = normalized
        return "\(normal.os)/\(normal.architecture)" + (normal.variant.map { "/\($0)" } ?? "")
    }

    /// The platform in containerd's canonical spelling: aliases replaced, `arm64/v8` and `amd64/v1` without the
    /// variant, `arm` with one (`v7`).
    var normalized: Platform {
        var result = Platform(architecture: architecture.lowercased(), os: os.lowercased())
        let variant = variant?.lowercased() ?? ""
        switch result.architecture {
        case "aarch64", "arm64":
            result.architecture = "arm64"
            result.variant = ["", "8", "v8"].contains(variant) ? nil : variant
        case "armhf": (result.architecture, result.variant) = ("arm", "v7")
        case "armel": (result.architecture, result.variant) = ("arm", "v6")
        case "arm":
            result.variant = variant.isEmpty ? "v7" : (variant.hasPrefix("v") ? variant : "v\(variant)")
        case "x86_64", "x86-64", "amd64":
            result.architecture = "amd64"
            result.variant = ["", "v1"].contains(variant) ? nil : variant
        case "i386": result.architecture = "386"
        default: result.variant = variant.isEmpty ? nil : variant
        }
        return result
    }

    /// What runs on this platform, the best first, as in containerd's `platforms.Only`: a 64-bit machine also runs
    /// 32-bit programs, and a newer ARM also those for an older one.
    var candidates: [Platform] {
        let own = normalized
        func arm(_ newest: Int) -> [Platform] {
            stride(from: newest, through: 5, by: -1).map {
                Platform(architecture: "arm", os: own.os, variant: "v\($0)")
            }
        }
        switch own.architecture {
        case "arm64": return [own] + (own.variant == nil ? [] : [with(variant: nil)]) + arm(8)
        case "arm":
            let version = own.variant.flatMap { Int($0.dropFirst()) } ?? 7
            return arm(min(max(version, 5), 8))
        case "amd64":
            return [own] + (own.variant == nil ? [] : [with(variant: nil)])
                + [Platform(architecture: "386", os: own.os)]
        default: return [own]
        }
    }

    private func with(variant: String?) -> Platform {
        Platform(architecture: normalized.architecture, os: normalized.os, variant: variant)
    }

    /// How well an image for `other` runs here: 0 is best; nil where it does not run.
    package func rank(of other: Platform) -> Int? { candidates.firstIndex(of: other.normalized) }
}

extension ImageIndex {
    /// The manifest that runs best on `platform`.
    ///
    /// Entries without a platform (attestations have `unknown/unknown`) count only if no entry has one, because an
    /// index of a single image may leave it out. Nested indexes are returned like manifests.
    package func bestManifest(for platform: Platform) -> Descriptor? {
        let ranked = manifests.compactMap { entry in
            entry.platform.flatMap { platform.rank(of: $0) }.map { (rank: $0, entry: entry) }
        }
        if let best = ranked.min(by: { $0.rank < $1.rank }) { return best.entry }
        return manifests.allSatisfy { $0.platform == nil } ? manifests.first : nil
    }

    /// The platforms of the index, for an error message.
    var platformList: String {
        let names = manifests.compactMap(\.platform).filter { $0.os != "unknown" }.map(\.text)
        return names.isEmpty ? "none" : names.prefix(20).joined(separator: ", ")
    }
}
