// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// The Event objects themselves.
extension EventRecorder {
    static let seriesResource = GroupVersionResource("events.k8s.io", "v1", "events")

    /// What names an object in its events. Without its revision, which would make every repetition look new.
    static func reference(_ object: KubeObject) -> JSON {
        var reference: JSON = [
            "kind": .string(object.kind), "apiVersion": .string(object.apiVersion), "name": .string(object.name),
            "uid": .string(object.uid),
        ]
        if !object.namespace.isEmpty { reference["namespace"] = .string(object.namespace) }
        return reference
    }

    func countedEvent(_ entry: Entry, namespace: String, name: String) -> KubeObject {
        var event = KubeObject(.init("", "v1", "Event"), namespace: namespace, name: name)
        let time = JSON.string(now())
        event.json["involvedObject"] = entry.regarding
        event.json["reason"] = .string(entry.reason)
        event.json["message"] = .string(entry.message)
        event.json["type"] = .string(entry.type.rawValue)
        event.json["source"] = ["component": .string(component)]
        if !host.isEmpty { event.json["source", "host"] = .string(host) }
        event.json["firstTimestamp"] = time
        event.json["lastTimestamp"] = time
        event.json["count"] = 1
        event.json["reportingComponent"] = .string(component)
        event.json["reportingInstance"] = .string(host)
        return event
    }

    func seriesEvent(_ entry: Entry, namespace: String, name: String) -> KubeObject {
        var event = KubeObject(.init("events.k8s.io", "v1", "Event"), namespace: namespace, name: name)
        event.json["eventTime"] = .string(now())
        event.json["reportingController"] = .string(component)
        event.json["reportingInstance"] = .string("\(component)-\(host)")
        event.json["action"] = .string(entry.action)
        event.json["reason"] = .string(entry.reason)
        event.json["regarding"] = entry.regarding
        if let related = entry.related { event.json["related"] = related }
        event.json["note"] = .string(entry.message)
        event.json["type"] = .string(entry.type.rawValue)
        return event
    }
}
