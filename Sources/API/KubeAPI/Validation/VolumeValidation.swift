// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for volumes, PersistentVolumes and their claims (`pkg/apis/core/validation/validation.go`).
extension Validator {
    private static let fileMode = "must be a number between 0 and 0777 (octal), both inclusive"
    static let accessModes = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]

    /// Checks a pod's volumes and gives the names of the valid ones.
    mutating func volumes(_ volumes: [JSON], _ path: FieldPath) -> Set<String> {
        var names: Set<String> = []
        for (index, volume) in volumes.enumerated() {
            let before = errors.count
            let path = path.index(index)
            volumeSource(volume, path)
            text(volume, "name", path, NameSyntax.dns1123Label)
            let name = volume.text("name")
            if names.contains(name) { add(.duplicate(path.child("name"), .string(name))) }
            if errors.count == before { names.insert(name) }
        }
        return names
    }

    private mutating func volumeSource(_ volume: JSON, _ path: FieldPath) {
        let sources = volume.members.filter { $0.key != "name" && !$0.value.isNull }
        if sources.isEmpty { add(.required(path, "must specify a volume type")) }
        for (index, source) in sources.enumerated() {
            let path = path.child(source.key)
            if index > 0 {
                add(.forbidden(path, "may not specify more than 1 volume type"))
                continue
            }
            switch source.key {
            case "emptyDir":
                if let limit = Quantity(source.value.value("sizeLimit")), limit.isNegative {
                    let reason = "SizeLimit field must be a valid resource quantity"
                    add(.forbidden(path.child("sizeLimit"), reason))
                }
            case "hostPath": hostPath(source.value, path)
            case "secret": keyed(source.value, nameKey: "secretName", path)
            case "configMap": keyed(source.value, nameKey: "name", path)
            case "downwardAPI": downward(source.value, path)
            case "projected": projected(source.value, path)
            case "persistentVolumeClaim": text(source.value, "claimName", path)
            case "nfs":
                text(source.value, "server", path)
                text(source.value, "path", path)
                if !source.value.text("path").hasPrefix("/") {
                    let value = JSON.string(source.value.text("path"))
                    add(.invalid(path.child("path"), value, "must be an absolute path"))
                }
            case "csi": text(source.value, "driver", path)
            case "ephemeral":
                claimSpec(
                    source.value["volumeClaimTemplate"]?["spec"] ?? [:], path.child("volumeClaimTemplate", "spec"))
            default: break
            }
        }
    }

    mutating func hostPath(_ source: JSON, _ path: FieldPath) {
        if source.text("path").isEmpty {
            add(.required(path.child("path")))
            return
        }
        noBacksteps(source.text("path"), path.child("path"))
        let types = [
            "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket",
        ]
        choice(source, "type", path, types, optional: true)
    }

    private mutating func mode(_ json: JSON, _ key: String, _ path: FieldPath) {
        if let mode = json.value(key)?.int, !(0...0o777).contains(mode) {
            add(.invalid(path.child(key), JSON(mode), Self.fileMode))
        }
    }

    /// A source whose keys become files.
    private mutating func keyed(_ source: JSON, nameKey: String, _ path: FieldPath) {
        text(source, nameKey, path)
        mode(source, "defaultMode", path)
        for (index, item) in source.list("items").enumerated() { keyToPath(item, path.child("items").index(index)) }
    }

    private mutating func keyToPath(_ item: JSON, _ path: FieldPath) {
        for key in ["key", "path"] { text(item, key, path) }
        nonReservedPath(item.text("path"), path.child("path"))
        mode(item, "mode", path)
    }

    private mutating func nonReservedPath(_ text: String, _ path: FieldPath) {
        descendingPath(text, path)
        if text.hasPrefix(".."), !text.hasPrefix("../") {
            add(.invalid(path, .string(text), "must not start with '..'"))
        }
    }

    private mutating func downward(_ source: JSON, _ path: FieldPath) {
        mode(source, "defaultMode", path)
        for item in source.list("items") {
            text(item, "path", path)
            if !item.text("path").isEmpty { nonReservedPath(item.text("path"), path.child("path")) }
            mode(item, "mode", path)
            switch (item.value("fieldRef"), item.value("resourceFieldRef")) {
            case (nil, nil): add(.required(path, "one of fieldRef and resourceFieldRef is required"))
            case (_?, let reference?):
                add(.invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
                resourceReference(reference, path.child("resourceFieldRef"))
            case (nil, let reference?):
                if reference.text("containerName").isEmpty {
                    add(.required(path.child("resourceFieldRef", "containerName")))
                }
                resourceReference(reference, path.child("resourceFieldRef"))
            case (let reference?, nil): downwardField(reference, path.child("fieldRef"))
            }
        }
    }

    private mutating func downwardField(_ reference: JSON, _ path: FieldPath) {
        let supported = [
            "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid",
        ]
        let field = reference.text("fieldPath")
        if field.hasPrefix("metadata.annotations['") || field.hasPrefix("metadata.labels['") { return }
        if field.isEmpty {
            add(.required(path.child("fieldPath")))
        } else if !supported.contains(field) {
            add(.unsupported(path.child("fieldPath"), .string(field), supported))
        }
    }

    private mutating func projected(_ source: JSON, _ path: FieldPath) {
        mode(source, "defaultMode", path)
        var paths: Set<String> = []
        for (index, part) in source.list("sources").enumerated() {
            let place = path.child("sources").index(index)
            let kinds = part.members.filter { !$0.value.isNull }
            if kinds.count > 1 { add(.forbidden(place, "may not specify more than 1 volume type")) }
            for (kind, value) in kinds {
                let place = place.child(kind)
                switch kind {
                case "secret", "configMap": keyed(value, nameKey: "name", place)
                case "downwardAPI": downward(value, place)
                case "serviceAccountToken": tokenProjection(value, place)
                default: break
                }
                for item in value.list("items") where !paths.insert(item.text("path")).inserted {
                    add(.invalid(path, .string(item.text("path")), "conflicting duplicate paths"))
                }
            }
        }
    }

    private mutating func tokenProjection(_ token: JSON, _ path: FieldPath) {
        let seconds = token["expirationSeconds"]?.int ?? 3600
        let place = path.child("expirationSeconds")
        if seconds < 600 {
            add(.invalid(place, JSON(seconds), "may not specify a duration less than 10 minutes"))
        }
        if seconds > 1 << 32 {
            add(.invalid(place, JSON(seconds), "may not specify a duration larger than 2^32 seconds"))
        }
        text(token, "path", path)
    }

    // MARK: PersistentVolumes

    private static let volumeFields: Set<String> = [
        "accessModes", "capacity", "claimRef", "mountOptions", "nodeAffinity", "persistentVolumeReclaimPolicy",
        "storageClassName", "volumeAttributesClassName", "volumeMode",
    ]

    mutating func persistentVolume(_ volume: JSON) {
        let spec = volume["spec"] ?? [:]
        let path = FieldPath("spec")
        modes(spec, path, "")
        let capacity = spec["capacity"]?.members ?? [:]
        if capacity.isEmpty { add(.required(path.child("capacity"))) }
        if !capacity.contains("storage") || capacity.count > 1 {
            add(.unsupported(path.child("capacity"), spec["capacity"] ?? .null, ["storage"]))
        }
        for (name, amount) in capacity { positive(amount, path.child("capacity").key(name)) }
        choice(spec, "persistentVolumeReclaimPolicy", path, ["Delete", "Recycle", "Retain"], optional: true)
        choice(spec, "volumeMode", path, ["Block", "Filesystem"], optional: true)
        optionalText(spec, "storageClassName", path, NameSyntax.dns1123Subdomain)
        if let required = spec["nodeAffinity"]?.value("required") {
            nodeSelector(required, path.child("nodeAffinity", "required"))
        }
        let sources = spec.members.filter { !Self.volumeFields.contains($0.key) && !$0.value.isNull }
        if sources.isEmpty { add(.required(path, "must specify a volume type")) }
        for (index, source) in sources.enumerated() {
            let place = path.child(source.key)
            if index > 0 {
                add(.forbidden(place, "may not specify more than 1 volume type"))
                continue
            }
            switch source.key {
            case "hostPath": hostPath(source.value, place)
            case "local":
                text(source.value, "path", place)
                if spec["nodeAffinity"]?.value("required") == nil {
                    let name = volume["metadata"]?.text("name") ?? ""
                    let reason = "Local volume requires node affinity"
                    add(.required(FieldPath("metadata").child("annotations"), name.isEmpty ? reason : reason))
                }
            case "nfs": for key in ["server", "path"] { text(source.value, key, place) }
            case "csi": for key in ["driver", "volumeHandle"] { text(source.value, key, place) }
            default: break
            }
        }
        if spec["hostPath"]?.text("path") == "/", spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
            let reason = "may not be 'recycle' for a hostPath mount of '/'"
            add(.forbidden(path.child("persistentVolumeReclaimPolicy"), reason))
        }
    }

    private mutating func modes(_ spec: JSON, _ path: FieldPath, _ reason: String) {
        let modes = spec.list("accessModes")
        if modes.isEmpty { add(.required(path.child("accessModes"), reason)) }
        for mode in modes where !Self.accessModes.contains(mode.string ?? "") {
            add(.unsupported(path.child("accessModes"), mode, Self.accessModes))
        }
        if modes.count > 1, modes.contains("ReadWriteOncePod") {
            let reason = "may not use ReadWriteOncePod with other access modes"
            add(.forbidden(path.child("accessModes"), reason))
        }
    }

    mutating func persistentVolumeUpdate(_ new: JSON, _ old: JSON) {
        let path = FieldPath("spec")
        let source = { (spec: JSON) -> JSON in
            var spec = spec
            for field in Self.volumeFields { spec[field] = nil }
            return spec
        }
        let newSpec = new["spec"] ?? [:]
        let oldSpec = old["spec"] ?? [:]
        if source(newSpec) != source(oldSpec) {
            let reason = "spec.persistentvolumesource is immutable after creation"
            add(.forbidden(path.child("persistentvolumesource"), reason))
        }
        unchanged(newSpec.value("volumeMode"), oldSpec.value("volumeMode"), path.child("volumeMode"))
    }

    // MARK: Claims

    mutating func claimSpec(_ spec: JSON, _ path: FieldPath) {
        modes(spec, path, "at least 1 access mode is required")
        labelSelector(spec["selector"], path.child("selector"))
        let place = path.child("resources").key("storage")
        if let storage = spec["resources"]?["requests"]?["storage"] {
            positive(storage, place)
        } else {
            add(.required(place))
        }
        optionalText(spec, "storageClassName", path, NameSyntax.dns1123Subdomain)
        choice(spec, "volumeMode", path, ["Block", "Filesystem"], optional: true)
        if let source = spec.value("dataSource") {
            for key in ["name", "kind"] { text(source, key, path.child("dataSource")) }
        }
    }

    mutating func claimUpdate(_ new: JSON, _ old: JSON) {
        var newSpec = new["spec"] ?? [:]
        var oldSpec = old["spec"] ?? [:]
        if oldSpec.text("volumeName").isEmpty { newSpec["volumeName"] = oldSpec["volumeName"] }
        if oldSpec.value("storageClassName") == nil { newSpec["storageClassName"] = oldSpec["storageClassName"] }
        for key in ["volumeAttributesClassName", "dataSourceRef"] {
            newSpec[key] = nil
            oldSpec[key] = nil
        }
        let newSize = Quantity(newSpec["resources"]?["requests"]?["storage"])
        let oldSize = Quantity(oldSpec["resources"]?["requests"]?["storage"])
        if old["status"]?.text("phase") == "Bound", let size = oldSpec["resources"]?["requests"]?["storage"] {
            newSpec["resources", "requests", "storage"] = size
        }
        if newSpec != oldSpec {
            let reason =
                "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound "
                + "claims\n" + Self.difference(newSpec, oldSpec)
            add(.forbidden(FieldPath("spec"), reason))
        }
        if let newSize, let oldSize, newSize < oldSize {
            let reason = "field can not be less than status.capacity"
            add(.forbidden(FieldPath("spec").child("resources", "requests", "storage"), reason))
        }
    }

    /// The members in which two objects differ, a line each.
    static func difference(_ new: JSON, _ old: JSON, _ prefix: String = "") -> String {
        var lines = ""
        var keys = Set(new.members.keys)
        keys.formUnion(old.members.keys)
        for key in keys.sorted() where (new[key] ?? .null) != (old[key] ?? .null) {
            let path = prefix.isEmpty ? key : "\(prefix).\(key)"
            if new[key]?.object != nil, old[key]?.object != nil {
                lines += difference(new[key] ?? .null, old[key] ?? .null, path)
                continue
            }
            if let value = old.value(key) { lines += "- \(path): \(value.text())\n" }
            if let value = new.value(key) { lines += "+ \(path): \(value.text())\n" }
        }
        return lines
    }
}
