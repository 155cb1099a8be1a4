// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for `metadata` (`apimachinery/pkg/api/validation/objectmeta.go`).
extension Validator {
    /// All annotations together.
    private static let maximumAnnotationBytes = 256 * 1024

    /// How the objects of a kind may be called.
    static func nameSyntax(of kind: GroupVersionKind) -> (String) -> [String] {
        switch "\(kind.group)/\(kind.kind)" {
        case "/Namespace": NameSyntax.dns1123Label
        case "/Service": NameSyntax.dns1035Label
        case "rbac.authorization.k8s.io/Role", "rbac.authorization.k8s.io/ClusterRole",
            "rbac.authorization.k8s.io/RoleBinding", "rbac.authorization.k8s.io/ClusterRoleBinding",
            "apiregistration.k8s.io/APIService", "certificates.k8s.io/CertificateSigningRequest":
            NameSyntax.pathSegment
        case "networking.k8s.io/IPAddress":
            { AddressSyntax.isAddress($0) ? [] : ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"] }
        case "batch/CronJob":
            {
                $0.utf8.count > 52
                    ? NameSyntax.dns1123Subdomain($0) + ["must be no more than 52 characters"]
                    : NameSyntax.dns1123Subdomain($0)
            }
        default: NameSyntax.dns1123Subdomain
        }
    }

    mutating func metadata(_ object: JSON, _ kind: GroupVersionKind, isNamespaced: Bool) {
        let path = FieldPath("metadata")
        let metadata = object["metadata"] ?? [:]
        let syntax = Self.nameSyntax(of: kind)
        let prefix = metadata.text("generateName")
        if !prefix.isEmpty {
            add(NameSyntax.prefix(prefix, syntax), path.child("generateName"), .string(prefix))
        }
        if metadata.text("name").isEmpty {
            add(.required(path.child("name"), "name or generateName is required"))
        } else {
            text(metadata, "name", path, syntax)
        }
        if isNamespaced {
            text(metadata, "namespace", path, NameSyntax.dns1123Label)
        } else if !metadata.text("namespace").isEmpty {
            add(.forbidden(path.child("namespace"), "not allowed on this type"))
        }
        nonNegative(metadata, "generation", at: path)
        commonMetadata(metadata, path)
        finalizers(metadata.list("finalizers"), path.child("finalizers"))
        finalizerNames(metadata.list("finalizers"), path.child("finalizers"), kind)
    }

    /// The parts that templates have too.
    mutating func commonMetadata(_ metadata: JSON, _ path: FieldPath) {
        labels(metadata["labels"], path.child("labels"))
        annotations(metadata["annotations"], path.child("annotations"))
        ownerReferences(metadata.list("ownerReferences"), path.child("ownerReferences"))
    }

    private mutating func annotations(_ json: JSON?, _ path: FieldPath) {
        var size = 0
        for (key, value) in json?.members ?? [:] {
            add(LabelSyntax.problems(inKey: key.lowercased()), path, .string(key))
            size += key.utf8.count + (value.string?.utf8.count ?? 0)
        }
        if size > Self.maximumAnnotationBytes { add(.tooLong(path, maximum: Self.maximumAnnotationBytes)) }
    }

    private mutating func ownerReferences(_ references: [JSON], _ path: FieldPath) {
        var controller = ""
        for reference in references {
            if GroupVersion(apiVersion: reference.text("apiVersion")) == nil {
                let value = JSON.string(reference.text("apiVersion"))
                add(.invalid(path.child("apiVersion"), value, "version must not be empty"))
            }
            for key in ["kind", "name", "uid"] where reference.text(key).isEmpty {
                add(.invalid(path.child(key), "", "must not be empty"))
            }
            if reference.text("kind") == "Event", reference.text("apiVersion") == "v1" {
                add(.invalid(path, reference, "/v1, Kind=Event is disallowed from being an owner"))
            }
            guard reference["controller"]?.bool == true else { continue }
            let name = "\(reference.text("kind"))/\(reference.text("name"))"
            if controller.isEmpty {
                controller = name
            } else {
                let reason =
                    "Only one reference can have Controller set to true. Found \"true\" in references for "
                    + "\(controller) and \(name)"
                add(.invalid(path, .array(references), reason))
            }
        }
    }

    private mutating func finalizers(_ finalizers: [JSON], _ path: FieldPath) {
        for finalizer in finalizers { add(LabelSyntax.problems(inKey: finalizer.string ?? ""), path, finalizer) }
        if finalizers.contains("orphan"), finalizers.contains("foregroundDeletion") {
            let reason = "finalizer orphan and foregroundDeletion cannot be both set"
            add(.invalid(path, .array(finalizers), reason))
        }
    }

    private static let standardFinalizers: Set<String> = ["kubernetes", "orphan", "foregroundDeletion"]

    /// The groups whose kinds upstream checks by the rules of its libraries alone.
    private static let groupsWithoutStandardFinalizers: Set<String> = [
        "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io",
    ]

    private mutating func finalizerNames(_ finalizers: [JSON], _ path: FieldPath, _ kind: GroupVersionKind) {
        guard !Self.groupsWithoutStandardFinalizers.contains(kind.group) else { return }
        for (index, finalizer) in finalizers.enumerated() {
            let name = finalizer.string ?? ""
            if !name.contains("/"), !Self.standardFinalizers.contains(name) {
                let reason = "name is neither a standard finalizer name nor is it fully qualified"
                add(.invalid(path.index(index), finalizer, reason))
            }
        }
    }

    mutating func metadataUpdate(_ new: JSON, _ old: JSON, _ kind: GroupVersionKind) {
        let path = FieldPath("metadata")
        let new = new["metadata"] ?? [:]
        let old = old["metadata"] ?? [:]
        if old.value("deletionTimestamp") != nil {
            let before = old.list("finalizers")
            let extra = new.list("finalizers").filter { !before.contains($0) }.compactMap(\.string).sorted()
            if !extra.isEmpty {
                let shown = extra.map { "\"\($0)\"" }.joined(separator: ", ")
                let reason =
                    "no new finalizers can be added if the object is being deleted, found new finalizers "
                    + "[]string{\(shown)}"
                add(.forbidden(path.child("finalizers"), reason))
            }
        }
        if new.text("resourceVersion").isEmpty {
            add(.invalid(path.child("resourceVersion"), "", "must be specified for an update"))
        }
        if let generation = new["generation"]?.int, generation < old["generation"]?.int ?? 0 {
            add(.invalid(path.child("generation"), JSON(generation), "must not be decremented"))
        }
        for key in [
            "name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds",
        ] {
            unchanged(new.value(key), old.value(key), path.child(key))
        }
        commonMetadata(new, path)
        finalizerNames(new.list("finalizers"), path.child("finalizers"), kind)
    }
}
