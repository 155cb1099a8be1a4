// SPDX-License-Identifier: Apache-2.0

import ControllerRuntime
import JSON
import KubeAPI
import KubeClient

/// Creates and deletes pods for their owner, with the events that users know.
struct PodCreation: Sendable {
    let client: any ResourceClient
    let events: EventRecorder

    /// The pod that a template describes; `generateName` follows the owner's name.
    static func pod(from template: JSON, owner: KubeObject) -> KubeObject {
        var metadata: JSON = [
            "generateName": .string("\(owner.name)-"), "namespace": .string(owner.namespace),
            "ownerReferences": [OwnerReference(controller: owner).json],
        ]
        for field in ["labels", "annotations", "finalizers"] {
            if let value = template["metadata"]?[field] { metadata[field] = value }
        }
        return KubeObject([
            "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] ?? .object([:]),
        ])
    }

    func create(_ pod: KubeObject, for owner: KubeObject) async throws -> KubeObject {
        do {
            let created = try await client.create(.pods, object: pod)
            events.record(owner, .normal, reason: "SuccessfulCreate", message: "Created pod: \(created.name)")
            return created
        } catch {
            let isNamespaceGoing = (error as? StatusError)?.details?.causes.contains {
                $0.reason == "NamespaceTerminating"
            }
            if isNamespaceGoing != true {
                events.record(owner, .warning, reason: "FailedCreate", message: "Error creating: \(error)")
            }
            throw error
        }
    }

    /// Deletes a pod; one that is gone already is fine.
    func delete(_ pod: KubeObject, for owner: KubeObject) async throws -> KubeObject? {
        var options = DeleteOptions()
        options.preconditionUID = pod.uid
        do {
            let deleted = try await client.delete(.pods, namespace: pod.namespace, name: pod.name, options: options)
            events.record(owner, .normal, reason: "SuccessfulDelete", message: "Deleted pod: \(pod.name)")
            return deleted
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            return nil
        } catch {
            events.record(owner, .warning, reason: "FailedDelete", message: "Error deleting: \(error)")
            throw error
        }
    }

    /// Runs `body` `count` times in batches of 1, 2, 4, ...: a failure that would hit them all (a quota) costs few calls.
    ///
    /// - Returns: How many succeeded, and the first error.
    static func slowStart(
        _ count: Int, _ body: @escaping @Sendable (_ index: Int) async throws -> Void
    ) async -> (succeeded: Int, error: (any Error)?) {
        var done = 0
        var batch = 1
        while done < count {
            let range = done..<min(count, done + batch)
            let errors = await withTaskGroup(of: (any Error)?.self) { group in
                for index in range {
                    group.addTask {
                        do {
                            try await body(index)
                            return nil
                        } catch {
                            return error
                        }
                    }
                }
                var errors: [any Error] = []
                for await case let error? in group { errors.append(error) }
                return errors
            }
            if let error = errors.first { return (range.upperBound - errors.count, error) }
            done = range.upperBound
            batch *= 2
        }
        return (done, nil)
    }
}
