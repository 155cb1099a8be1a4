// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Shows the objects of one version as another one: two groups serve events, two versions autoscalers.
enum ObjectConversion {
    /// The object as a kind that is kept in another form, or the kept form of such a kind.
    ///
    /// - Parameter stored: The object that is to be replaced, for what the sender's version cannot say of it.
    static func convert(
        _ object: KubeObject, to kind: GroupVersionKind, over stored: KubeObject? = nil
    ) -> KubeObject {
        guard object.groupVersionKind != kind else { return object }
        var result = object
        switch (object.groupVersionKind?.groupVersion.description ?? "", kind.kind) {
        case ("v1", "Event"): result.json = rename(object.json, eventNames)
        case ("events.k8s.io/v1", "Event"): result.json = rename(object.json, eventNames.map { ($0.1, $0.0) })
        case ("autoscaling/v1", "HorizontalPodAutoscaler"):
            result.json = AutoscalerConversion.newer(object.json, over: stored?.json)
        case ("autoscaling/v2", "HorizontalPodAutoscaler"): result.json = AutoscalerConversion.older(object.json)
        default: break
        }
        result.json["apiVersion"] = .string(kind.groupVersion.description)
        result.json["kind"] = .string(kind.kind)
        return result
    }

    /// The members of a core event and what `events.k8s.io` calls them (`pkg/apis/core/v1/conversion.go`).
    private static let eventNames = [
        ("involvedObject", "regarding"), ("message", "note"), ("reportingComponent", "reportingController"),
        ("source", "deprecatedSource"), ("firstTimestamp", "deprecatedFirstTimestamp"),
        ("lastTimestamp", "deprecatedLastTimestamp"), ("count", "deprecatedCount"),
    ]

    private static func rename(_ json: JSON, _ names: [(String, String)]) -> JSON {
        let map = Dictionary(uniqueKeysWithValues: names)
        return .object(JSONObject(json.members.lazy.map { (key: map[$0.key] ?? $0.key, value: $0.value) }))
    }
}

/// HorizontalPodAutoscaler in `autoscaling/v1`, which knows only the CPU's target, and `v2`.
private enum AutoscalerConversion {
    /// - Parameter stored: The object in `v2` whose other metrics and behaviour stay as they are. (Upstream carries them in
    ///   annotations of the `v1` object.)
    static func newer(_ json: JSON, over stored: JSON?) -> JSON {
        var result = json
        var metrics = stored?["spec"]?["metrics"]?.elements ?? []
        let known = metrics.firstIndex(where: isUtilizationOfCPU)
        if let percent = json["spec"]?["targetCPUUtilizationPercentage"] {
            let metric: JSON = [
                "type": "Resource",
                "resource": ["name": "cpu", "target": ["type": "Utilization", "averageUtilization": percent]],
            ]
            if let known { metrics[known] = metric } else { metrics.append(metric) }
        } else if let known {
            metrics.remove(at: known)
        }
        result["spec", "targetCPUUtilizationPercentage"] = nil
        if !metrics.isEmpty { result["spec", "metrics"] = .array(metrics) }
        if let behaviour = stored?["spec"]?["behavior"] { result["spec", "behavior"] = behaviour }
        result["status", "currentCPUUtilizationPercentage"] = nil
        for key in ["currentMetrics", "conditions"] {
            if let value = stored?["status"]?[key] { result["status", key] = value }
        }
        return result
    }

    private static func isUtilizationOfCPU(_ metric: JSON) -> Bool {
        metric["type"] == "Resource" && metric["resource"]?["name"] == "cpu"
            && metric["resource"]?["target"]?["averageUtilization"] != nil
    }

    static func older(_ json: JSON) -> JSON {
        var result = json
        for metric in json["spec"]?["metrics"]?.elements ?? [] where metric["resource"]?["name"]?.string == "cpu" {
            if let percent = metric["resource"]?["target"]?["averageUtilization"] {
                result["spec", "targetCPUUtilizationPercentage"] = percent
            }
        }
        for metric in json["status"]?["currentMetrics"]?.elements ?? []
        where metric["resource"]?["name"]?.string == "cpu" {
            if let percent = metric["resource"]?["current"]?["averageUtilization"] {
                result["status", "currentCPUUtilizationPercentage"] = percent
            }
        }
        result["spec", "metrics"] = nil
        result["spec", "behavior"] = nil
        result["status", "currentMetrics"] = nil
        result["status", "conditions"] = nil
        return result
    }
}
