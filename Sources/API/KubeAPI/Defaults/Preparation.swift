// SPDX-License-Identifier: Apache-2.0

package import JSON

extension ObjectRules {
    /// Fills in what upstream's strategies derive from an object's identity when it is created: the selector of a Job
    /// and the labels of its pods (`pkg/registry/batch/job/strategy.go`). The object has its name and uid.
    package static func prepareForCreate(_ json: inout JSON, kind: GroupVersionKind) {
        guard kind.group == "batch", kind.kind == "Job", json["spec"]?["manualSelector"]?.bool != true else { return }
        let uid = json["metadata"]?.text("uid") ?? ""
        let name = json["metadata"]?.text("name") ?? ""
        let labels: JSON = [
            "controller-uid": .string(uid), "batch.kubernetes.io/controller-uid": .string(uid),
            "job-name": .string(name), "batch.kubernetes.io/job-name": .string(name),
        ]
        json.change("spec") { spec in
            spec.changeOrCreate("template") { template in
                template.changeOrCreate("metadata") { metadata in
                    metadata.changeOrCreate("labels") { present in
                        for (key, value) in labels.members { present[key] = value }
                    }
                }
            }
            spec.changeOrCreate("selector") { selector in
                selector.changeOrCreate("matchLabels") { match in
                    match["batch.kubernetes.io/controller-uid"] = .string(uid)
                }
            }
        }
    }
}
