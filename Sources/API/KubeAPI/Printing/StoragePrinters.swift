// SPDX-License-Identifier: Apache-2.0

import JSON

/// Volumes: core and storage.k8s.io.
extension TablePrinter {
    static let storagePrinters: [String: TablePrinter] = [
        "/PersistentVolume": persistentVolume,
        "/PersistentVolumeClaim": persistentVolumeClaim,
        "storage.k8s.io/StorageClass": .init(
            "Name|Provisioner|ReclaimPolicy|VolumeBindingMode|AllowVolumeExpansion|Age"
        ) {
            [
                named($0, isDefaultBy: "storageclass.kubernetes.io/is-default-class"),
                $0.string($0.json["provisioner"]), $0.string($0.json["reclaimPolicy"], else: "Delete"),
                $0.string($0.json["volumeBindingMode"], else: "Immediate"),
                .bool($0.json["allowVolumeExpansion"]?.bool ?? false), $0.age,
            ]
        },
        "storage.k8s.io/VolumeAttributesClass": .init("Name|DriverName|Age") {
            [
                named($0, isDefaultBy: "volumeattributesclass.kubernetes.io/is-default-class"),
                $0.string($0.json["driverName"]), $0.age,
            ]
        },
        "storage.k8s.io/VolumeAttachment": .init("Name|Attacher|PV|Node|Attached:boolean|Age") {
            [
                $0.name, $0.string($0.spec?["attacher"]), $0.string($0.spec?["source"]?["persistentVolumeName"]),
                $0.string($0.spec?["nodeName"]), .bool($0.status?["attached"]?.bool ?? false), $0.age,
            ]
        },
        "storage.k8s.io/CSINode": .init("Name|Drivers:integer|Age") {
            [$0.name, JSON($0.count($0.spec?["drivers"])), $0.age]
        },
        "storage.k8s.io/CSIDriver": .init(
            """
            Name|AttachRequired:boolean|PodInfoOnMount:boolean|StorageCapacity:boolean|TokenRequests|\
            RequiresRepublish:boolean|Modes|Age
            """
        ) { driver in
            func flag(_ key: String, else fallback: Bool) -> JSON { .bool(driver.spec?[key]?.bool ?? fallback) }
            let modes = (driver.spec?["volumeLifecycleModes"]?.elements ?? []).compactMap(\.string)
            let audiences = driver.spec?["tokenRequests"]?.array?.map { $0["audience"]?.string ?? "" }
            return [
                driver.name, flag("attachRequired", else: true), flag("podInfoOnMount", else: false),
                flag("storageCapacity", else: false), .string(audiences?.joined(separator: ",") ?? "<unset>"),
                flag("requiresRepublish", else: false),
                .string(modes.isEmpty ? "<none>" : modes.joined(separator: ",")), driver.age,
            ]
        },
        "storage.k8s.io/CSIStorageCapacity": .init("Name|StorageClassName|Capacity") {
            [$0.name, $0.string($0.json["storageClassName"]), .string($0.text($0.json["capacity"], else: "<unset>"))]
        },
    ]

    private static let persistentVolume = TablePrinter(
        """
        Name|Capacity|Access Modes|Reclaim Policy|Status|Claim|StorageClass|VolumeAttributesClass|Reason|Age|VolumeMode*
        """
    ) { volume in
        var claim = ""
        if let reference = volume.spec?["claimRef"], reference.object != nil {
            claim = "\(reference["namespace"]?.string ?? "")/\(reference["name"]?.string ?? "")"
        }
        return [
            volume.name, .string(volume.text(volume.spec?["capacity"]?["storage"], else: "0")),
            accessModes(volume.spec?["accessModes"]), volume.string(volume.spec?["persistentVolumeReclaimPolicy"]),
            phase(volume), .string(claim), storageClass(volume),
            volume.string(volume.spec?["volumeAttributesClassName"], else: "<unset>"),
            volume.string(volume.status?["reason"]), volume.age,
            volume.string(volume.spec?["volumeMode"], else: "<unset>"),
        ]
    }

    private static let persistentVolumeClaim = TablePrinter(
        "Name|Status|Volume|Capacity|Access Modes|StorageClass|VolumeAttributesClass|Age|VolumeMode*"
    ) { claim in
        let volume = claim.spec?["volumeName"]?.string ?? ""
        let isBound = !volume.isEmpty
        return [
            claim.name, phase(claim), .string(volume),
            isBound ? .string(claim.text(claim.status?["capacity"]?["storage"], else: "0")) : "",
            isBound ? accessModes(claim.status?["accessModes"]) : "", storageClass(claim),
            claim.string(claim.spec?["volumeAttributesClassName"], else: "<unset>"), claim.age,
            claim.string(claim.spec?["volumeMode"], else: "<unset>"),
        ]
    }

    private static func phase(_ object: PrintedObject) -> JSON {
        object.isBeingDeleted ? "Terminating" : object.string(object.status?["phase"])
    }

    private static func accessModes(_ json: JSON?) -> JSON {
        let short = [
            ("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP"),
        ]
        let modes = Set((json?.elements ?? []).compactMap(\.string))
        return .string(short.filter { modes.contains($0.0) }.map(\.1).joined(separator: ","))
    }

    private static func storageClass(_ object: PrintedObject) -> JSON {
        // The annotation is from before the field.
        let old = object.metadata?["annotations"]?["volume.beta.kubernetes.io/storage-class"]
        return object.string(old ?? object.spec?["storageClassName"])
    }

    private static func named(_ object: PrintedObject, isDefaultBy annotation: String) -> JSON {
        let annotations = object.metadata?["annotations"]
        let old = "storageclass.beta.kubernetes.io/is-default-class"
        let isDefault = annotations?[annotation] == "true" || annotations?[old] == "true"
        return .string((object.name.string ?? "") + (isDefault ? " (default)" : ""))
    }
}
