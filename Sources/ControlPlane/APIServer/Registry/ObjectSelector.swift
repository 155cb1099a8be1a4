// SPDX-License-Identifier: Apache-2.0

import KubeAPI

/// The label and field selectors of a list or watch.
struct ObjectSelector: Hashable, Sendable {
    let labels: LabelSelector
    let fields: FieldSelector

    static let everything = ObjectSelector(labels: .everything, fields: .everything)

    init(labels: LabelSelector, fields: FieldSelector) {
        self.labels = labels
        self.fields = fields
    }

    /// Parses both; throws `BadRequest` for a malformed selector or a field that the kind does not offer.
    init(labels: String, fields: String, kind: GroupVersionKind) throws(StatusError) {
        self.labels = labels.isEmpty ? .everything : try LabelSelector(parsing: labels)
        self.fields =
            fields.isEmpty ? .everything : try FieldSelector(parsing: fields, for: kind, fields: .of(kind))
    }

    var isEverything: Bool { labels.isEverything && fields.isEverything }

    /// The one name that can match, where the field selector asks for one.
    var requiredName: String? { fields.requiredValue(of: "metadata.name") }

    /// The one namespace that can match, where the field selector asks for one.
    var requiredNamespace: String? { fields.requiredValue(of: "metadata.namespace") }

    func matches(_ object: KubeObject) -> Bool { labels.matches(object) && fields.matches(object.json) }
}
