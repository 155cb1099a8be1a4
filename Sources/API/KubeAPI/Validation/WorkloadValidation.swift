// SPDX-License-Identifier: Apache-2.0

import JSON

/// Rules for the kinds that make pods (`pkg/apis/apps/validation`, `pkg/apis/batch/validation`).
extension Validator {
    mutating func deployment(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        nonNegative(
            spec, "replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds", at: path)
        selectorAndTemplate(spec, path, "deployment", "ReplicaSet")
        let strategy = spec["strategy"] ?? [:]
        let place = path.child("strategy")
        switch strategy.text("type") {
        case "Recreate":
            if strategy.value("rollingUpdate") != nil {
                let reason = "may not be specified when strategy `type` is 'Recreate'"
                add(.forbidden(place.child("rollingUpdate"), reason))
            }
        case "RollingUpdate":
            rollingUpdate(strategy["rollingUpdate"] ?? [:], place.child("rollingUpdate"))
        default: add(.unsupported(place, strategy, ["Recreate", "RollingUpdate"]))
        }
        if let deadline = spec.value("progressDeadlineSeconds")?.int,
            deadline <= spec["minReadySeconds"]?.int ?? 0
        {
            let place = path.child("progressDeadlineSeconds")
            add(.invalid(place, JSON(deadline), "must be greater than minReadySeconds"))
        }
    }

    private mutating func rollingUpdate(_ update: JSON, _ path: FieldPath) {
        countOrPercent(update["maxUnavailable"], path.child("maxUnavailable"), atMostAll: true)
        countOrPercent(update["maxSurge"], path.child("maxSurge"))
        let isZero = { (key: String) in
            let value = IntOrString(update[key])
            return value?.percent == 0 || value == .int(0) || value == nil
        }
        if isZero("maxUnavailable"), isZero("maxSurge") {
            let value = update["maxUnavailable"] ?? 0
            add(.invalid(path.child("maxUnavailable"), value, "may not be 0 when `maxSurge` is 0"))
        }
    }

    mutating func replicaSet(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        nonNegative(spec, "replicas", "minReadySeconds", at: FieldPath("spec"))
        selectorAndTemplate(spec, FieldPath("spec"), "deployment", "ReplicaSet")
    }

    mutating func replicationController(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        nonNegative(spec, "replicas", "minReadySeconds", at: path)
        if (spec["selector"]?.members ?? [:]).isEmpty { add(.required(path.child("selector"))) }
        guard let template = spec.value("template") else {
            add(.required(path.child("template")))
            return
        }
        if !Self.selects(["matchLabels": spec["selector"] ?? [:]], template["metadata"]?["labels"]) {
            let labels = template["metadata"]?["labels"] ?? .null
            let reason = "`selector` does not match template `labels`"
            add(.invalid(path.child("template", "metadata", "labels"), labels, reason))
        }
        podTemplate(template, path.child("template"))
        alwaysRestarts(template, path.child("template"), "ReplicationController")
    }

    mutating func statefulSet(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        choice(spec, "podManagementPolicy", path, ["OrderedReady", "Parallel"])
        let strategy = spec["updateStrategy"] ?? [:]
        switch strategy.text("type") {
        case "OnDelete":
            if let update = strategy.value("rollingUpdate") {
                let reason = "only allowed for updateStrategy 'RollingUpdate'"
                add(.invalid(path.child("updateStrategy", "rollingUpdate"), update, reason))
            }
        case "RollingUpdate":
            let update = strategy["rollingUpdate"] ?? [:]
            nonNegative(update, "partition", at: path.child("updateStrategy", "rollingUpdate"))
        default:
            add(.invalid(path.child("updateStrategy"), strategy, "must be 'RollingUpdate' or 'OnDelete'"))
        }
        nonNegative(spec, "replicas", "minReadySeconds", "revisionHistoryLimit", at: path)
        selectorAndTemplate(spec, path, "statefulset", "StatefulSet")
    }

    mutating func daemonSet(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        selectorAndTemplate(spec, path, "daemonset", "DaemonSet")
        nonNegative(spec, "minReadySeconds", "revisionHistoryLimit", at: path)
        let strategy = spec["updateStrategy"] ?? [:]
        let place = path.child("updateStrategy")
        choice(strategy, "type", place, ["OnDelete", "RollingUpdate"])
        guard strategy.text("type") == "RollingUpdate" else { return }
        let update = strategy["rollingUpdate"] ?? [:]
        for key in ["maxUnavailable", "maxSurge"] {
            countOrPercent(update[key], place.child("rollingUpdate", key), atMostAll: true)
        }
    }

    /// The selector is there and selects what the template makes.
    private mutating func selectorAndTemplate(_ spec: JSON, _ path: FieldPath, _ name: String, _ kind: String) {
        let template = spec["template"] ?? [:]
        let place = path.child("template")
        if let selector = spec.value("selector") {
            labelSelector(selector, path.child("selector"))
            if Self.isEmptySelector(selector) {
                add(.invalid(path.child("selector"), selector, "empty selector is invalid for \(name)"))
            } else if !Self.selects(selector, template["metadata"]?["labels"]) {
                let labels = template["metadata"]?["labels"] ?? .null
                let reason = "`selector` does not match template `labels`"
                add(.invalid(place.child("metadata", "labels"), labels, reason))
            }
        } else {
            add(.required(path.child("selector")))
        }
        podTemplate(template, place)
        alwaysRestarts(template, place, kind)
    }

    private mutating func alwaysRestarts(_ template: JSON, _ path: FieldPath, _ kind: String) {
        let policy = template["spec"]?.text("restartPolicy") ?? ""
        if policy != "Always", !policy.isEmpty {
            add(.unsupported(path.child("spec", "restartPolicy"), .string(policy), ["Always"]))
        }
        if template["spec"]?.value("activeDeadlineSeconds") != nil {
            let reason = "activeDeadlineSeconds in \(kind) is not Supported"
            add(.forbidden(path.child("spec", "activeDeadlineSeconds"), reason))
        }
    }

    // MARK: Jobs

    mutating func job(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        jobSpec(spec, path)
        if let selector = spec.value("selector") {
            labelSelector(selector, path.child("selector"))
            if !Self.selects(selector, spec["template"]?["metadata"]?["labels"]) {
                let labels = spec["template"]?["metadata"]?["labels"] ?? .null
                let reason = "`selector` does not match template `labels`"
                add(.invalid(path.child("template", "metadata", "labels"), labels, reason))
            }
        } else {
            add(.required(path.child("selector")))
        }
    }

    private mutating func jobSpec(_ spec: JSON, _ path: FieldPath) {
        nonNegative(
            spec, "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
            at: path)
        if let mode = spec.value("completionMode") {
            choice(spec, "completionMode", path, ["Indexed", "NonIndexed"])
            if mode == "Indexed", spec.value("completions") == nil {
                add(.required(path.child("completions"), "when completion mode is Indexed"))
            }
        }
        podTemplate(spec["template"] ?? [:], path.child("template"))
        let policy = spec["template"]?["spec"]?.text("restartPolicy") ?? ""
        let place = path.child("template", "spec", "restartPolicy")
        if policy.isEmpty || policy == "Always" {
            add(.required(place, "valid values: \"OnFailure\", \"Never\""))
        }
    }

    mutating func cronJob(_ object: JSON) {
        let spec = object["spec"] ?? [:]
        let path = FieldPath("spec")
        text(spec, "schedule", path) { CronSchedule.problem(in: $0).map { [$0] } ?? [] }
        nonNegative(
            spec, "startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit", at: path)
        choice(spec, "concurrencyPolicy", path, ["Allow", "Forbid", "Replace"])
        let jobPath = path.child("jobTemplate", "spec")
        let job = spec["jobTemplate"]?["spec"] ?? [:]
        jobSpec(job, jobPath)
        if job["manualSelector"]?.bool == true {
            add(.unsupported(jobPath.child("manualSelector"), .bool(true), ["nil", "false"]))
        }
    }

    // MARK: Updates

    mutating func jobUpdate(_ new: JSON, _ old: JSON) {
        let newSpec = new["spec"] ?? [:]
        let oldSpec = old["spec"] ?? [:]
        let path = FieldPath("spec")
        let isIndexed = newSpec.text("completionMode") == "Indexed"
        if !isIndexed {
            unchanged(newSpec.value("completions"), oldSpec.value("completions"), path.child("completions"))
        }
        let isSuspended = oldSpec["suspend"]?.bool == true && old["status"]?.value("startTime") == nil
        for key in ["selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex"] {
            if key == "template", isSuspended { continue }
            unchanged(newSpec.value(key), oldSpec.value(key), path.child(key))
        }
    }

    mutating func statefulSetUpdate(_ new: JSON, _ old: JSON) {
        var newSpec = new["spec"] ?? [:]
        var oldSpec = old["spec"] ?? [:]
        for key in [
            "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy", "minReadySeconds",
        ] {
            newSpec[key] = nil
            oldSpec[key] = nil
        }
        if newSpec != oldSpec {
            let reason =
                "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', "
                + "'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and "
                + "'minReadySeconds' are forbidden"
            add(.forbidden(FieldPath("spec"), reason))
        }
    }

    /// Only images, deadlines and added tolerations of a pod may change.
    mutating func podUpdate(_ new: JSON, _ old: JSON) {
        let path = FieldPath("spec")
        var spec = new["spec"] ?? [:]
        let before = old["spec"] ?? [:]
        for list in ["containers", "initContainers"] {
            let count = before.list(list).count
            if spec.list(list).count != count {
                add(.forbidden(path.child(list), "pod updates may not add or remove containers"))
                return
            }
            var index = 0
            spec.changeEach(list) { container in
                container["image"] = before[list]?[index]?["image"]
                index += 1
            }
        }
        if let deadline = spec.value("activeDeadlineSeconds")?.int {
            if let old = before.value("activeDeadlineSeconds")?.int, old < deadline {
                let reason = "must be less than or equal to previous value"
                add(.invalid(path.child("activeDeadlineSeconds"), JSON(deadline), reason))
            }
        } else if before.value("activeDeadlineSeconds") != nil {
            let reason = "must not update from a positive integer to nil value"
            add(.invalid(path.child("activeDeadlineSeconds"), .null, reason))
        }
        addedTolerations(spec.list("tolerations"), before.list("tolerations"), path.child("tolerations"))
        for key in ["activeDeadlineSeconds", "tolerations"] { spec[key] = before[key] }
        removedGates(&spec, before, path)
        if spec != before {
            let reason =
                "pod updates may not change fields other than `spec.containers[*].image`,"
                + "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
                + "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was "
                + "previously negative)\n" + Self.difference(spec, before)
            add(.forbidden(path, reason))
        }
    }

    /// Ephemeral containers may be added, and nothing else changed.
    mutating func ephemeralContainersUpdate(_ new: JSON, _ old: JSON) {
        let before = old["spec"]?.list("ephemeralContainers") ?? []
        let after = new["spec"]?.list("ephemeralContainers") ?? []
        let path = FieldPath("spec").child("ephemeralContainers")
        for container in before {
            let name = container.text("name")
            guard let kept = after.first(where: { $0.text("name") == name }) else {
                add(.forbidden(path, "existing ephemeral containers \"\(name)\" may not be removed"))
                continue
            }
            if kept != container {
                add(.forbidden(path, "existing ephemeral containers \"\(name)\" may not be changed"))
            }
        }
        pod(new)
    }

    private mutating func addedTolerations(_ new: [JSON], _ old: [JSON], _ path: FieldPath) {
        let withoutSeconds = { (toleration: JSON) -> JSON in
            var toleration = toleration
            toleration["tolerationSeconds"] = nil
            return toleration
        }
        let kept = Set(new.map(withoutSeconds))
        if !old.allSatisfy({ kept.contains(withoutSeconds($0)) }) {
            add(.forbidden(path, "existing toleration can not be modified except its tolerationSeconds"))
        }
    }

    /// Scheduling gates may be taken away, never added.
    private mutating func removedGates(_ spec: inout JSON, _ before: JSON, _ path: FieldPath) {
        let old = before.list("schedulingGates")
        let added = spec.list("schedulingGates").filter { !old.contains($0) }
        if !added.isEmpty {
            let names = added.map { $0.text("name") }.joined(separator: ", ")
            let reason = "only deletion is allowed, but found new scheduling gate '\(names)'"
            add(.forbidden(path.child("schedulingGates"), reason))
        }
        if !old.isEmpty {
            for key in ["nodeSelector", "affinity"] { spec[key] = before[key] }
        }
        spec["schedulingGates"] = before["schedulingGates"]
    }
}
