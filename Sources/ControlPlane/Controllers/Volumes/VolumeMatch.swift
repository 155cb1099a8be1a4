// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Which PersistentVolume serves a claim: upstream's `pv_controller` index, as pure functions.
enum VolumeMatch {
    /// The volume to bind: one that is reserved for the claim, else the smallest that fits.
    static func best(for claim: KubeObject, among volumes: [KubeObject]) -> KubeObject? {
        let fitting = volumes.filter { fits($0, claim) }
        if let reserved = fitting.first(where: { isReserved($0, for: claim) }) { return reserved }
        return fitting.filter { $0.spec["claimRef"] == nil }.min { left, right in
            let (leftSize, rightSize) = (capacity(of: left), capacity(of: right))
            return leftSize == rightSize ? left.name < right.name : leftSize < rightSize
        }
    }

    /// Whether a volume may serve a claim.
    static func fits(_ volume: KubeObject, _ claim: KubeObject) -> Bool {
        if volume.isBeingDeleted { return false }
        let isReserved = isReserved(volume, for: claim)
        if volume.spec["claimRef"] != nil, !isReserved { return false }
        guard mode(of: volume) == mode(of: claim), className(of: volume) == className(of: claim) else { return false }
        let offered = Set(volume.spec["accessModes"]?.elements.compactMap(\.string) ?? [])
        guard offered.isSuperset(of: claim.spec["accessModes"]?.elements.compactMap(\.string) ?? []) else {
            return false
        }
        guard let wanted = quantity(claim.spec["resources"]?["requests"]?["storage"]), capacity(of: volume) >= wanted
        else { return false }
        if isReserved { return true }
        let phase = volume.status["phase"]?.string ?? "Pending"
        guard phase == "Available" || phase == "Pending" else { return false }
        guard let selector = claim.spec["selector"] else { return true }
        // A selector that cannot be read was refused when the claim was written.
        return (try? LabelSelector(json: selector))?.matches(volume.labels) ?? false
    }

    /// Whether a volume's claimRef names this claim; without a uid it is a reservation by name.
    static func isReserved(_ volume: KubeObject, for claim: KubeObject) -> Bool {
        guard let reference = volume.spec["claimRef"], reference["name"]?.string == claim.name,
            reference["namespace"]?.string == claim.namespace
        else { return false }
        let uid = reference["uid"]?.string ?? ""
        return uid.isEmpty || uid == claim.uid
    }

    /// The class; the annotation of old manifests wins, as upstream.
    static func className(of object: KubeObject) -> String {
        object.annotations["volume.beta.kubernetes.io/storage-class"] ?? object.spec["storageClassName"]?.string ?? ""
    }

    private static func mode(of object: KubeObject) -> String { object.spec["volumeMode"]?.string ?? "Filesystem" }

    private static func capacity(of volume: KubeObject) -> Quantity {
        quantity(volume.spec["capacity"]?["storage"]) ?? .zero
    }

    private static func quantity(_ json: JSON?) -> Quantity? { Quantity(json) }
}
