// SPDX-License-Identifier: Apache-2.0

import JSON

/// Reading and changing optional fields, for which a null is as good as none.
extension JSON {
    /// The member, nil where it is missing or null.
    func value(_ key: String) -> JSON? {
        guard let value = self[key], !value.isNull else { return nil }
        return value
    }

    /// The text of a member, empty where it is missing or no string.
    func text(_ key: String) -> String { self[key]?.string ?? "" }

    /// The elements of a member, empty where it is missing or no list.
    func list(_ key: String) -> [JSON] { self[key]?.elements ?? [] }

    /// Sets a member that is missing or null.
    mutating func setDefault(_ key: String, _ value: JSON) {
        if self.value(key) == nil { self[key] = value }
    }

    /// Sets a member that is missing, null or empty text.
    mutating func setTextDefault(_ key: String, _ value: String) {
        if text(key).isEmpty, self[key]?.string != nil || self.value(key) == nil { self[key] = .string(value) }
    }

    /// Sets a member that is missing, null or zero.
    mutating func setIntegerDefault(_ key: String, _ value: Int) {
        if self.value(key) == nil || self[key]?.int == 0 { self[key] = JSON(value) }
    }

    /// Changes a member that is there, in place.
    mutating func change(_ key: String, _ body: (inout JSON) -> Void) {
        guard var member = value(key) else { return }
        // Giving up our reference first lets the member be changed without a copy.
        self[key] = .null
        body(&member)
        self[key] = member
    }

    /// Changes a member, which becomes an object where it is missing.
    mutating func changeOrCreate(_ key: String, _ body: (inout JSON) -> Void) {
        if value(key) == nil { self[key] = .object([:]) }
        change(key, body)
    }

    /// Changes every element of a list that is there.
    mutating func changeEach(_ key: String, _ body: (inout JSON) -> Void) {
        guard case .array(var elements)? = self[key] else { return }
        self[key] = .null
        for index in elements.indices { body(&elements[index]) }
        self[key] = .array(elements)
    }
}
