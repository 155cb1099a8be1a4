// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI

/// Ingresses get the default class where they name none (upstream: DefaultIngressClass).
struct IngressBehaviour: ResourceBehaviour {
    var traits: ResourceTraits { BehaviourTable.traits("ingresses.networking.k8s.io") }

    private static let classes = GroupVersionResource("networking.k8s.io", "v1", "ingressclasses")
    private static let classAnnotation = "kubernetes.io/ingress.class"

    func prepare(_ change: Change, _ object: inout KubeObject) async throws {
        guard change.operation == .create, object.spec["ingressClassName"] == nil,
            object.annotations[Self.classAnnotation] == nil
        else { return }
        let chosen = DefaultClass.newest(
            of: change.registry.cachedObjects(Self.classes),
            markedBy: ["ingressclass.kubernetes.io/is-default-class"])
        if let chosen { object.json["spec", "ingressClassName"] = .string(chosen) }
    }
}

/// Which of several classes is the default one.
enum DefaultClass {
    /// The name of the newest class with one of the annotations set, of equally old ones the first by name.
    static func newest(of classes: [KubeObject], markedBy annotations: [String]) -> String? {
        // Times are in one format and time zone, so that their texts compare as they do.
        classes.filter { candidate in annotations.contains { candidate.annotations[$0] == "true" } }
            .min { left, right in
                left.creationTimestamp == right.creationTimestamp
                    ? left.name < right.name
                    : left.creationTimestamp ?? "" > right.creationTimestamp ?? ""
            }?.name
    }
}
