// SPDX-License-Identifier: Apache-2.0

package import JSON

/// An entry of `status.conditions`.
package struct Condition: Hashable, Sendable {
    package var type: String
    /// `True`, `False` or `Unknown`.
    package var status: String
    package var reason: String
    package var message: String
    /// RFC 3339.
    package var lastTransitionTime: String
    /// RFC 3339; kept by Deployments, empty elsewhere.
    package var lastUpdateTime: String

    package init(
        type: String, status: String, reason: String = "", message: String = "", lastTransitionTime: String = "",
        lastUpdateTime: String = ""
    ) {
        self.type = type
        self.status = status
        self.reason = reason
        self.message = message
        self.lastTransitionTime = lastTransitionTime
        self.lastUpdateTime = lastUpdateTime
    }

    package init(_ json: JSON) {
        type = json["type"]?.string ?? ""
        status = json["status"]?.string ?? ""
        reason = json["reason"]?.string ?? ""
        message = json["message"]?.string ?? ""
        lastTransitionTime = json["lastTransitionTime"]?.string ?? ""
        lastUpdateTime = json["lastUpdateTime"]?.string ?? ""
    }

    package var isTrue: Bool { status == "True" }

    package var json: JSON {
        var result: JSON = ["type": .string(type), "status": .string(status)]
        for (key, value) in [
            ("lastUpdateTime", lastUpdateTime), ("lastTransitionTime", lastTransitionTime), ("reason", reason),
            ("message", message),
        ] where !value.isEmpty { result[key] = .string(value) }
        return result
    }
}

extension KubeObject {
    /// A condition of `status.conditions` by its type.
    package func condition(_ type: String) -> Condition? {
        json["status"]?["conditions"]?.elements.first { $0["type"]?.string == type }.map(Condition.init)
    }

    /// Sets a condition; its transition time stays while the status stays.
    package mutating func setCondition(_ condition: Condition) {
        var condition = condition
        var conditions = json["status"]?["conditions"]?.elements ?? []
        if let index = conditions.firstIndex(where: { $0["type"]?.string == condition.type }) {
            let old = Condition(conditions[index])
            if old.status == condition.status, !old.lastTransitionTime.isEmpty {
                condition.lastTransitionTime = old.lastTransitionTime
            }
            // Written over what is there, so that fields unknown to us survive.
            for (key, value) in condition.json.members { conditions[index][key] = value }
            if condition.message.isEmpty { conditions[index]["message"] = nil }
            if condition.reason.isEmpty { conditions[index]["reason"] = nil }
        } else {
            conditions.append(condition.json)
        }
        json["status", "conditions"] = .array(conditions)
    }

    package mutating func removeCondition(_ type: String) {
        guard let conditions = json["status"]?["conditions"]?.array else { return }
        json["status", "conditions"] = .array(conditions.filter { $0["type"]?.string != type })
    }
}
