// SPDX-License-Identifier: Apache-2.0

import JSON
import KubeAPI
import Storage

/// What is particular about the objects of one resource; everything else is the registry's generic path.
///
/// The registry calls, for a creation or an update: ``admit(_:_:)``, ``prepare(_:_:)``, ``problems(_:_:)``, and
/// after the
/// write ``written(_:_:)`` or, if there was none, ``abandoned(_:_:)``. Each call may come several times for one request
/// (once per attempt); a hook that takes something (an address) gives it back in ``abandoned(_:_:)``.
protocol ResourceBehaviour: Sendable {
    /// Which of the generic rules apply.
    var traits: ResourceTraits { get }

    /// Fills in and refuses what depends on other objects (upstream's admission plug-ins).
    func admit(_ change: Change, _ object: inout KubeObject) async throws

    /// Sets what only the server sets, and keeps what clients may not change (upstream's strategies).
    func prepare(_ change: Change, _ object: inout KubeObject) async throws

    /// What is wrong with the object beyond the rules of its schema.
    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause]

    /// The change is durable; `object` is the new state, or the last one of a deletion.
    func written(_ change: Change, _ object: KubeObject) async

    /// The attempt that prepared `object` stored nothing.
    func abandoned(_ change: Change, _ object: KubeObject) async

    /// Refuses or completes a deletion before it begins.
    func admitDeletion(_ change: Change, _ object: KubeObject, _ options: inout DeleteOptions) async throws

    /// The seconds of grace of a deletion, nil for kinds that are deleted at once.
    func gracePeriod(_ object: KubeObject, _ options: DeleteOptions) -> Int?

    /// Notes on an object that its deletion has begun.
    func mark(_ object: inout KubeObject)

    /// Whether something besides finalizers keeps an object that is being deleted (a namespace's `spec.finalizers`).
    func blocksRemoval(_ object: KubeObject) -> Bool
}

extension ResourceBehaviour {
    func admit(_ change: Change, _ object: inout KubeObject) async throws {}
    func prepare(_ change: Change, _ object: inout KubeObject) async throws {}
    func problems(_ change: Change, _ object: KubeObject) -> [StatusError.Cause] { [] }
    func written(_ change: Change, _ object: KubeObject) async {}
    func abandoned(_ change: Change, _ object: KubeObject) async {}
    func admitDeletion(_ change: Change, _ object: KubeObject, _ options: inout DeleteOptions) async throws {}
    func gracePeriod(_ object: KubeObject, _ options: DeleteOptions) -> Int? { nil }
    func mark(_ object: inout KubeObject) {}
    func blocksRemoval(_ object: KubeObject) -> Bool { false }
}

/// Which of the generic rules a resource follows.
struct ResourceTraits: Sendable {
    /// Whether `metadata.generation` counts changes of anything but metadata and status.
    var hasGeneration = false
    /// Whether changed annotations count as well (a Deployment's).
    var generationCountsAnnotations = false
    /// Whether PUT creates an object that is missing.
    var createsOnUpdate = false
    /// Whether PUT without `resourceVersion` overwrites whatever is there.
    var allowsUnconditionalUpdate = true
    /// What happens to dependants when the request does not say.
    var defaultPropagation = PropagationPolicy.background
    /// Whether a deletion answers with the object rather than with a Status.
    var returnsDeletedObject = false
    /// Whether a new object keeps the status that its creator gave it (a node registers with one).
    var keepsStatusOnCreate = false
    /// The top-level members that belong to the status and that only `/status` changes.
    var statusMembers = ["status"]
}

/// One change on its way through the registry, as the hooks see it.
struct Change: Sendable {
    enum Operation: Sendable, Hashable {
        case create
        case update
        case delete
    }

    let operation: Operation
    let served: ServedResource
    /// Empty for the object itself.
    let subresource: String
    /// The state before, nil for a creation.
    let old: KubeObject?
    let user: UserInfo
    let isDryRun: Bool
    /// Whether the agent itself makes the change.
    let isTrusted: Bool
    let warnings: Warnings
    let registry: Registry
    /// Tells this attempt from all others, for hooks that take something.
    let attempt = UInt64.random(in: 0 ... .max)

    var resource: GroupVersionResource { served.resource }
    var isStatus: Bool { subresource == "status" }

    /// A refusal of this object by admission.
    func forbidden(_ name: String, _ why: String) -> StatusError { .forbidden(resource, name, why) }
}
