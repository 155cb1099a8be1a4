// SPDX-License-Identifier: Apache-2.0

import JSON

/// Defaults of the kinds that make pods (`pkg/apis/apps/v1/defaults.go`, `pkg/apis/batch/v1/defaults.go`).
enum WorkloadDefaults {
    static func replicationController(_ controller: inout JSON) {
        if let labels = controller["spec"]?["template"]?["metadata"]?.value("labels") {
            controller.change("spec") { if ($0["selector"]?.members ?? [:]).isEmpty { $0["selector"] = labels } }
            inheritLabels(&controller, labels)
        }
        controller.changeOrCreate("spec") { spec in
            spec.setDefault("replicas", 1)
            spec.change("template", PodDefaults.template)
        }
    }

    private static func inheritLabels(_ object: inout JSON, _ labels: JSON) {
        object.changeOrCreate("metadata") { if ($0["labels"]?.members ?? [:]).isEmpty { $0["labels"] = labels } }
    }

    static func deployment(_ deployment: inout JSON) {
        deployment.changeOrCreate("spec") { spec in
            spec.setDefault("replicas", 1)
            spec.changeOrCreate("strategy") { strategy in
                strategy.setTextDefault("type", "RollingUpdate")
                guard strategy.text("type") == "RollingUpdate" else { return }
                strategy.changeOrCreate("rollingUpdate") { update in
                    update.setDefault("maxUnavailable", "25%")
                    update.setDefault("maxSurge", "25%")
                }
            }
            spec.setDefault("revisionHistoryLimit", 10)
            spec.setDefault("progressDeadlineSeconds", 600)
            spec.change("template", PodDefaults.template)
        }
    }

    static func daemonSet(_ set: inout JSON) {
        set.changeOrCreate("spec") { spec in
            spec.changeOrCreate("updateStrategy") { strategy in
                strategy.setTextDefault("type", "RollingUpdate")
                guard strategy.text("type") == "RollingUpdate" else { return }
                strategy.changeOrCreate("rollingUpdate") { update in
                    update.setDefault("maxUnavailable", 1)
                    update.setDefault("maxSurge", 0)
                }
            }
            spec.setDefault("revisionHistoryLimit", 10)
            spec.change("template", PodDefaults.template)
        }
    }

    static func statefulSet(_ set: inout JSON) {
        set.changeOrCreate("spec") { spec in
            spec.setTextDefault("podManagementPolicy", "OrderedReady")
            spec.changeOrCreate("updateStrategy") { strategy in
                if strategy.text("type").isEmpty {
                    strategy["type"] = "RollingUpdate"
                    strategy.setDefault("rollingUpdate", .object([:]))
                }
                guard strategy.text("type") == "RollingUpdate" else { return }
                strategy.change("rollingUpdate") { update in
                    update.setDefault("partition", 0)
                    update.setDefault("maxUnavailable", 1)
                }
            }
            spec.changeOrCreate("persistentVolumeClaimRetentionPolicy") { policy in
                policy.setTextDefault("whenDeleted", "Retain")
                policy.setTextDefault("whenScaled", "Retain")
            }
            spec.setDefault("replicas", 1)
            spec.setDefault("revisionHistoryLimit", 10)
            spec.change("template", PodDefaults.template)
            spec.changeEach("volumeClaimTemplates") { claim in
                claim["kind"] = "PersistentVolumeClaim"
                claim["apiVersion"] = "v1"
                CoreDefaults.persistentVolumeClaim(&claim)
            }
        }
    }

    static func job(_ job: inout JSON) {
        if let labels = job["spec"]?["template"]?["metadata"]?.value("labels") { inheritLabels(&job, labels) }
        job.changeOrCreate("spec") { spec in
            if spec.value("completions") == nil, spec.value("parallelism") == nil { spec["completions"] = 1 }
            spec.setDefault("parallelism", 1)
            let isPerIndex = spec.value("backoffLimitPerIndex") != nil
            spec.setDefault("backoffLimit", isPerIndex ? JSON(Int(Int32.max)) : 6)
            spec.setTextDefault("completionMode", "NonIndexed")
            spec.setDefault("suspend", false)
            let hasFailurePolicy = spec.value("podFailurePolicy") != nil
            spec.setTextDefault("podReplacementPolicy", hasFailurePolicy ? "Failed" : "TerminatingOrFailed")
            spec.setDefault("manualSelector", false)
            spec.change("podFailurePolicy") { policy in
                policy.changeEach("rules") { rule in
                    rule.changeEach("onPodConditions") { $0.setTextDefault("status", "True") }
                }
            }
            spec.change("template", PodDefaults.template)
        }
    }

    static func cronJob(_ job: inout JSON) {
        job.changeOrCreate("spec") { spec in
            spec.setTextDefault("concurrencyPolicy", "Allow")
            spec.setDefault("suspend", false)
            spec.setDefault("successfulJobsHistoryLimit", 3)
            spec.setDefault("failedJobsHistoryLimit", 1)
            spec.change("jobTemplate") { $0.change("spec") { $0.change("template", PodDefaults.template) } }
        }
    }
}
